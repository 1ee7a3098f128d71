"""Repairs of what a call is given, gives back, or keeps, as pairs of scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.language import key_of, message
from graphlab.rules.gl110_parameter_never_reached import check
from graphlab.rules.repair.asked.handed_over import handed_over
from graphlab.rules.repair.asked.returned import complete_return
from graphlab.rules.repair.copies import load_original
from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.repair.graph.growing import given_detached
from graphlab.rules.repair.graph.joined import kept_for_the_next
from graphlab.rules.repair.held.building import hold_others
from graphlab.rules.repair.left_over import clear_gradients
from graphlab.trace.model import FailedNode, Trace
from tests.rules.build import Script, backward, optimizer, parameter, step
from tests.rules.test_more_repairs import outcomes

TRANSLATOR = """\
class Decoder(nn.Module):
    def forward(self, tokens, hidden=None):
        return self.out(self.rnn(tokens, hidden))


class Translator(nn.Module):
    def __init__(self):
        self.encoder, self.decoder = Encoder(), Decoder()

    def forward(self, source, tokens):
        _, hidden = self.encoder(source)
        return self.decoder(tokens)


optimizer = SGD(model.parameters())
"""


@pytest.mark.parametrize(
    ("old", "new", "mended"),
    [
        ("", "", "self.decoder(tokens, hidden=hidden)"),
        # It is used elsewhere.
        ("return self.decoder(tokens)", "print(hidden)\n        return self.decoder(tokens)", None),
        # It is given, by its place or by its name.
        ("self.decoder(tokens)", "self.decoder(tokens, other)", None),
        ("self.decoder(tokens)", "self.decoder(tokens, hidden=other)", None),
        ("self.decoder(tokens)", "self.decoder(*tokens)", None),
        # The decoder takes nothing of that name.
        ("tokens, hidden=None):", "tokens, state=None):", None),
        # Another module made it, one that gradients reach.
        ("self.encoder(source)", "self.embed(source)", None),
    ],
)
def test_what_is_computed_for_an_argument_is_handed_over(
    old: str, new: str, mended: str | None
) -> None:
    source = TRANSLATOR.replace(old, new) if old else TRANSLATOR
    script = Script(source, (parameter("model.encoder.weight"),))
    at = script.at("optimizer = SGD(model.parameters())")
    wanted = [source.replace("self.decoder(tokens)", mended)] if mended else []
    assert outcomes(source, handed_over(script.trace(), at, (0,))) == wanted


EXITS = "for w, out in zip(ws, outs):\n    loss = w * f(out)\n    loss.backward()\nopt.step()\n"


@pytest.mark.parametrize(
    ("source", "stepped", "kept"),
    [
        (EXITS, False, True),
        ("for loss in losses:\n    loss.backward()\n", False, True),
        # The second turn comes after a step: the weights are others by then.
        (EXITS, True, False),
        # A state that one turn hands on to the next.
        (
            "for x in xs:\n    h = cell(x, h)\n    loss = f(h, x)\n    loss.backward()\n",
            False,
            False,
        ),
        ("for epoch in range(9):\n    loss = f(out)\n    loss.backward()\n", False, False),
        ("loss.backward()\n", False, False),
    ],
)
def test_the_graph_of_one_forward_is_kept_for_the_next_loss(
    source: str, stepped: bool, kept: bool
) -> None:
    script = Script(source, optimizers=(optimizer("opt"),))
    at = script.at("loss.backward()")
    first, last = backward(at), replace(backward(at), seq=1)
    between = (step(at),) if stepped else ()
    trace = script.trace(first, *between, last)
    wanted = [source.replace("backward()", "backward(retain_graph=True)")] if kept else []
    assert outcomes(source, kept_for_the_next(trace, first, last)) == wanted


@pytest.mark.parametrize(
    ("returned", "needed", "mended", "choice"),
    [
        ("g", "0", "g, None, None", ""),
        ("g", "1", "None, g, None", ""),
        ("g, h", "0 2", "g, None, h", "fix.meant.order"),
        ("g, h", "0 1", "g, h, None", ""),
        # More gradients than inputs that need one: which is too much is not known.
        ("g, h", "0", None, ""),
    ],
)
def test_inputs_that_need_no_gradient_get_none(
    returned: str, needed: str, mended: str | None, choice: str
) -> None:
    source = (
        "class Scale(Function):\n    @staticmethod\n    def forward(ctx, x, scale, flag):\n"
        "        return x\n\n    @staticmethod\n    def backward(ctx, g, h):\n"
        f"        return {returned}\n"
    )
    script = Script(source)
    at = script.at(f"return {returned}")
    got = returned.count(",") + 1
    why = message("observed.contract.number", gradients=got, inputs=3, needed=needed)
    event = replace(backward(at), cut=at, node=FailedNode("ScaleBackward", None, why=why))
    found = complete_return(script.trace(), event)
    assert found is not None and key_of(found.choice) == choice
    if mended is None:
        assert not found.after
    else:
        better = source.replace(f"return {returned}", f"return {mended}")
        assert outcomes(source, [found]) == [better]


SIAMESE = "def distance(p, z):\n    p = p.detach()\n    return (p - z).mean()\n"


@pytest.mark.parametrize(
    ("source", "never", "choice"),
    [
        (SIAMESE, (1,), "fix.meant.argument"),
        # None of its parameters is reached: nothing goes through the other argument either.
        (SIAMESE, (0, 1), ""),
        (SIAMESE.replace("p, z", "p").replace(" - z", ""), (1,), ""),
        (SIAMESE.replace("p = p.detach()", "q = p.detach()").replace("(p -", "(q -"), (1,), ""),
    ],
)
def test_a_cut_that_may_be_meant_for_another_argument_is_a_choice(
    source: str, never: tuple[int, ...], choice: str
) -> None:
    script = Script(source, (parameter("net.a"), parameter("net.b")))
    line = next(each.strip() for each in source.splitlines() if "detach" in each)
    held = optimizer(
        owns=(0, 1), never_reached=never, cut=script.at(line), cut_by="p.detach()", fed=True
    )
    (finding,) = check(replace(script, optimizers=(held,)).trace())
    assert {key_of(each.choice) for each in finding.others} == {choice}


@pytest.mark.parametrize(
    ("loop", "mended"),
    [
        (
            "for x in xs:\n        self.opt.step()",
            "    for x in xs:\n        net.requires_grad_(True)\n",
        ),
        ("self.opt.step()", '    """Of D."""\n    net.requires_grad_(True)\n'),
    ],
)
def test_a_network_is_thawed_where_its_turn_or_its_function_begins(loop: str, mended: str) -> None:
    body = loop.replace("self.opt", "loss.backward()\n    SPACEopt")
    body = body.replace("SPACE", "    " if "for" in loop else "")
    source = f'def train(net, opt):\n    """Of D."""\n    {body}\n'
    script = Script(source, optimizers=(optimizer("opt"),))
    at = script.at("loss.backward()")
    found = outcomes(source, graph_kept(script.trace(), at, "p.requires_grad = False", at))
    assert len(found) == 1 and mended in found[0]


def test_of_what_a_memory_is_given_each_is_detached_alone_too() -> None:
    source = "memory.update(label, z)\n"
    script = Script(source)
    at = script.at("memory.update(label, z)")
    assert outcomes(source, given_detached(script.trace(), at, "memory.rows")) == [
        "memory.update(label.detach(), z.detach())\n",
        "memory.update(label.detach(), z)\n",
        "memory.update(label, z.detach())\n",
    ]


def held_by_a_copy(never: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Trace, str]:
    source = "opt = SGD(target.parameters())\n"
    script = Script(source, (parameter("target.weight", shape), parameter("critic.weight")))
    at = script.at("opt = SGD(target.parameters())")
    return replace(
        script, optimizers=(optimizer("opt", at=at, owns=(0,), never_reached=never),)
    ).trace(), source


@pytest.mark.parametrize(
    ("never", "shape", "given"), [((0,), (1, 4), True), ((), (1, 4), False), ((0,), (2, 4), False)]
)
def test_an_optimizer_of_a_copy_that_no_gradient_reaches_gets_what_is_trained(
    never: tuple[int, ...], shape: tuple[int, ...], given: bool
) -> None:
    trace, source = held_by_a_copy(never, shape)
    found = outcomes(source, hold_others(trace, [trace.tensors[1]]))
    assert found == ([source.replace("target", "critic")] if given else [])


def test_a_closure_is_cleared_though_another_loop_has_a_loss_of_that_name() -> None:
    source = (
        "for x in xs:\n    loss = f(x)\n    loss.backward()\n    adam.step()\n\n\n"
        "def closure():\n    loss = g()\n    loss.backward()  # again\n    return loss\n\n\n"
        "opt.step(closure)\n"
    )
    script = Script(source, optimizers=(optimizer("adam"), optimizer("opt")))
    again = script.at("loss.backward()  # again")
    last = step(script.at("opt.step(closure)"), optimizer=1, sources=("loss",), again=again)
    found = clear_gradients(script.trace(backward(script.at("loss.backward()")), last), last)
    better = source.replace("():\n    loss = g()", "():\n    opt.zero_grad()\n    loss = g()")
    assert found is not None and outcomes(source, [found]) == [better]


@pytest.mark.parametrize(
    ("made", "loads"),
    [
        ("target = copy.deepcopy(net)", "target.load_state_dict(net.state_dict())"),
        ("target = copy.deepcopy(net).eval()", "target.load_state_dict(net.state_dict())"),
        ("target = Net()", None),
        ("target = copy.deepcopy(nets[0])", None),
        ("target = copy.deepcopy(net)\ntarget = copy.deepcopy(other)", None),
    ],
)
def test_a_copy_loads_what_it_was_copied_from(made: str, loads: str | None) -> None:
    line = "target.load_state_dict(target.state_dict())"
    source = f"{made}\n{line}\n"
    script = Script(source)
    found = load_original(script.trace(), script.at(line), "target")
    wanted = [source.replace(line, loads)] if loads else []
    assert outcomes(source, [found] if found else []) == wanted
