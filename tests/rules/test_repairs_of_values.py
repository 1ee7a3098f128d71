"""Repairs of what is kept, made once, or made as it should not be, as pairs of scripts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.language import key_of, message
from graphlab.rules.repair.asked.leaves import made_plain
from graphlab.rules.repair.asked.returned import complete_return
from graphlab.rules.repair.calls import zeros_for_unused
from graphlab.rules.repair.carried import detach_carried
from graphlab.rules.repair.copies import copy_object
from graphlab.rules.repair.double_softmax import without_softmax
from graphlab.rules.repair.graph.once import cached, made_elsewhere
from graphlab.rules.repair.held.building import build_again, hold_more
from graphlab.rules.repair.held.clipping import clip_before_step
from graphlab.rules.repair.left_over import add_step
from graphlab.rules.repair.refused_call import keep_graph
from graphlab.rules.repair.reordered import rows_stacked
from graphlab.trace.model import Carrier, FailedNode, Forgotten
from graphlab.trace.sightings import Clipped
from tests.rules.build import Script, activation, backward, optimizer, parameter, refused, saved
from tests.rules.test_more_repairs import outcomes

FILLED = """\
out = torch.zeros(4, 8, requires_grad=True)
for i in range(4):
    out[i] = net(x[i])
"""


def test_what_is_filled_is_made_without_requires_grad() -> None:
    script = Script(FILLED, (replace(parameter("out"), owner="out"),))
    event = refused("leaf", script.at("out[i] = net(x[i])"), "out[…] = …")
    wanted = [FILLED.replace(", requires_grad=True", "")]
    assert outcomes(FILLED, filter(None, [made_plain(script.trace(), event)])) == wanted


@pytest.mark.parametrize(
    ("line", "owned"), [("out -= net(x[i])", ()), ("out[i] = net(x[i])", (0,))]
)
def test_what_is_updated_or_trained_stays_a_leaf(line: str, owned: tuple[int, ...]) -> None:
    source = FILLED.replace("out[i] = net(x[i])", line)
    script = Script(source, (parameter("out"),), (optimizer(owns=owned),))
    assert made_plain(script.trace(), refused("leaf", script.at(line), "out")) is None


ELSEWHERE = """\
def train(data):
    for x in data:
        loss = model(x)
        loss.backward()


seq = conv(raw)
train(seq)
"""


@pytest.mark.parametrize(("held", "choice"), [((0,), "fix.meant.once"), ((), "")])
def test_what_was_made_elsewhere_is_detached_there(held: tuple[int, ...], choice: str) -> None:
    """Whether it is to train is open where an optimizer holds what made it."""
    script = Script(ELSEWHERE, (parameter("conv.weight"),), (optimizer(owns=held),))
    at = script.at("loss.backward()")
    gone = () if held else (Forgotten(0, "loss.backward()", at, None),)
    freed = saved("freed", script.at("seq = conv(raw)"), tensor=-1)
    helps = [*made_elsewhere(script.trace(forgotten=gone), [freed], backward(at))]
    assert outcomes(ELSEWHERE, helps) == [ELSEWHERE.replace("conv(raw)", "conv(raw).detach()")]
    assert [key_of(each.choice) for each in helps] == [choice]


def test_what_a_loop_or_the_function_itself_makes_is_not_made_elsewhere() -> None:
    source = ELSEWHERE.replace("seq = conv(raw)", "for raw in raws:\n    seq = conv(raw)")
    script = Script(source)
    freed = saved("freed", script.at("seq = conv(raw)"), tensor=-1)
    event = backward(script.at("loss.backward()"))
    assert not [*made_elsewhere(script.trace(), [freed], event)]
    own = saved("freed", script.at("loss = model(x)"), tensor=-1)
    assert not [*made_elsewhere(script.trace(), [own], event)]


def test_what_is_taken_apart_has_no_detach() -> None:
    script = Script(ELSEWHERE.replace("seq = conv(raw)", "seq, h = rnn(raw)"))
    freed = saved("freed", script.at("seq, h = rnn(raw)"), tensor=-1)
    event = backward(script.at("loss.backward()"))
    assert not [*made_elsewhere(script.trace(), [freed], event)]


CACHED = """\
def error(self, x):
    if self.made is None:
        self.made = self.func(x)
    loss = x - self.made
    loss.backward()
"""


def test_what_is_cached_is_computed_in_each_turn_or_detached() -> None:
    script = Script(CACHED)
    event = backward(script.at("loss.backward()"), carriers=(Carrier("ic.made", "tensor"),))
    anew = CACHED.replace("    if self.made is None:\n    ", "")
    kept = CACHED.replace("self.func(x)", "self.func(x).detach()")
    helps = [*cached(script.trace(), event)]
    assert outcomes(CACHED, helps) == [anew, kept]
    assert {key_of(each.choice) for each in helps} == {"fix.meant.once"}
    other = backward(event.at, carriers=(Carrier("ic.state", "tensor"),))
    assert not [*cached(script.trace(), other)]


RETURNED = """\
class Scale(Function):
    def forward(ctx, x, scale, bits):
        return x * scale

    def backward(ctx, grad_out):
        return grad_scale, grad_x, None
"""


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("grad_scale, grad_x, None", "grad_x, grad_scale, None"),
        ("d_scale * 2, None, dx.sum()", "dx.sum(), d_scale * 2, None"),
        ("grad_x, grad_scale, None", None),
        ("grad_scale, grad_out * scale, d_bits", "grad_out * scale, grad_scale, d_bits"),
        ("a, b, None", None),
        ("grad_x * grad_scale, grad_x, None", None),
    ],
)
def test_gradients_are_returned_in_the_order_that_their_names_tell(
    given: str, ordered: str | None
) -> None:
    source = RETURNED.replace("grad_scale, grad_x, None", given)
    script = Script(source)
    why = message("observed.contract.shape", name="x", shape="[4]")
    event = backward(
        script.at("return x * scale"), cut=script.at(f"return {given}"),
        node=FailedNode("ScaleBackward", None, why=why),
    )  # fmt: skip
    found = outcomes(source, filter(None, [complete_return(script.trace(), event)]))
    assert found == ([source.replace(given, ordered)] if ordered is not None else [])


@pytest.mark.parametrize("name", ["memory.table", "h"])
def test_a_table_is_detached_as_a_whole(name: str) -> None:
    source = f"for x in data:\n    loss = f({name}, x)\n    loss.backward()\n    opt.step()\n"
    source += f"    {name} = grow({name})\n"
    script = Script(source)
    event = backward(script.at("loss.backward()"), carriers=(Carrier(name, "dict"),))
    line = f"    {name} = {{key: each.detach() for key, each in {name}.items()}}\n"
    assert outcomes(source, filter(None, [detach_carried(script.trace(), event)])) == [
        source + line
    ]


@pytest.mark.parametrize(
    ("body", "moves"),
    [("clip_grad_norm_(w, 1)", True), ("clip_grad_norm_(w, 1)\n    log(w)", False)],
)
def test_clipping_goes_before_the_step_with_its_condition(body: str, moves: bool) -> None:
    source = f"loss.backward()\nopt.step()\nif limit:\n    {body}\n"
    script = Script(source)
    seen = Clipped(
        script.at("clip_grad_norm_(w, 1)"), "clip()", "spent", 0, 8, step=script.at("opt.step()")
    )
    wanted = f"loss.backward()\nif limit:\n    {body}\nopt.step()\n"
    found = outcomes(source, filter(None, [clip_before_step(script.trace(), seen)]))
    assert found == ([wanted] if moves else [])


def test_the_step_is_added_to_the_branch_that_has_none() -> None:
    source = "loss.backward()\nif schedule:\n    s.step()\nelse:\n    opt.step()\nopt = 1\n"
    script = Script(source)
    edit = add_step(script.trace(), script.at("loss.backward()"), "opt")
    wanted = source.replace("    s.step()\n", "    opt.step()\n    s.step()\n")
    assert outcomes(source, filter(None, [edit])) == [wanted]
    plain = source.replace("    opt.step()\n", "    pass\n")
    edit = add_step(Script(plain).trace(), script.at("loss.backward()"), "opt")
    assert outcomes(plain, filter(None, [edit])) == [
        plain.replace("loss.backward()\n", "loss.backward()\nopt.step()\n")
    ]


@pytest.mark.parametrize(
    ("head", "copied"),
    [
        ("import copy\nimport torch\n", True),
        ("import torch\n", True),
        ("from copy import copy\nimport torch\ncopy = copy\n", False),
    ],
)
def test_a_copy_of_its_own_is_made_with_the_import_it_needs(head: str, copied: bool) -> None:
    source = f"{head}target = online\n"
    script = Script(source)
    edit = copy_object(script.trace(), script.at("target = online"))
    wanted = source.replace("= online", "= copy.deepcopy(online)")
    if "import copy\n" not in head:
        wanted = f"import copy\n{wanted}"
    assert outcomes(source, filter(None, [edit])) == ([wanted] if copied else [])


def test_of_a_softmax_of_itself_nothing_is_left() -> None:
    source = "out = net(x)\nout = F.softmax(out, dim=1)\nloss = ce(out, y)\n"
    script = Script(source)
    edit = without_softmax(script.trace(), script.at("out = F.softmax(out, dim=1)"))
    wanted = source.replace("out = F.softmax(out, dim=1)\n", "")
    assert outcomes(source, filter(None, [edit])) == [wanted]


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        ("g = grad(u.sum(), x)[0]", "g = grad(u.sum(), x, create_graph=True)[0]"),
        (
            "g = grad(u.sum(), x, create_graph=False)[0]",
            "g = grad(u.sum(), x, create_graph=True)[0]",
        ),
        ("g = upgrad(u.sum(), x)[0]", None),
    ],
)
def test_an_imported_grad_is_asked_for_a_graph(line: str, mended: str | None) -> None:
    source = f"from torch.autograd import grad\n{line}\nloss = g.mean()\n"
    script = Script(source)
    helps = [keep_graph(script.trace(), script.at(line), line, "loss")]
    found = outcomes(source, [each for each in helps if each.line is not None])
    assert found == ([source.replace(line, mended)] if mended is not None else [])


def test_an_optimizer_is_built_again_behind_the_call_that_replaced_the_layers() -> None:
    source = (
        "def prune(model):\n    model.fc = nn.Linear(2, 2)\n\n\n"
        "model = Net()\nopt = SGD(model.parameters())\ntrain(opt)\nprune(model)\ntrain(opt)\n"
    )
    script = Script(source)
    built = script.at("opt = SGD(model.parameters())")
    helps = build_again(script.trace(), built, script.at("model.fc = nn.Linear(2, 2)"))
    again = "prune(model)\nopt = SGD(model.parameters())\n"
    assert source.replace("prune(model)\ntrain", f"{again}train") in outcomes(source, helps)


def test_a_helper_that_builds_the_optimizer_is_called_behind_the_one_that_replaces_a_layer() -> (
    None
):
    source = (
        "def make(model):\n    return SGD(model.parameters())\n\n\n"
        "def fit(model):\n    model.fc = nn.Linear(2, 2)\n    return model\n\n\n"
        "model = Net()\nopt = make(model)\nmodel = fit(model)\nmodel = DDP(model)\ntrain(opt)\n"
    )
    script = Script(source)
    built = script.at("return SGD(model.parameters())")
    helps = build_again(script.trace(), built, script.at("model.fc = nn.Linear(2, 2)"))
    later = "model = fit(model)\nopt = make(model)\nmodel = DDP(model)\n"
    assert outcomes(source, helps) == [
        source.replace("opt = make(model)\n", "").replace(
            "model = fit(model)\nmodel = DDP(model)\n", later
        )
    ]
    # What steps it in between needs it there.
    source = source.replace("model = fit(model)", "opt.step()\nmodel = fit(model)")
    script = Script(source)
    helps = build_again(script.trace(), built, script.at("model.fc = nn.Linear(2, 2)"))
    assert outcomes(source, helps) == []


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ("net.parameters()", ""),
        ("[net.w, net.b]", ""),
        ("params", ""),
        ("x", "fix.meant.unused"),
        ("self.x", "fix.meant.unused"),
    ],
)
def test_zeros_for_one_input_are_a_choice(asked: str, choice: str) -> None:
    line = f"g = torch.autograd.grad(loss, {asked})"
    source = f"params = list(net.parameters())\n{line}\n"
    script = Script(source, (parameter("net.aux.weight"), activation("loss")))
    event = backward(script.at(line), subject=0)
    (found,) = zeros_for_unused(script.trace(), event)
    assert key_of(found.choice) == choice


ROWS = """\
import torch
def normalize(x, means):
    for row, m in zip(x, means):
        row.sub_(m).div_(2)
    return x
"""


@pytest.mark.parametrize(
    ("old", "new", "stacked"),
    [
        ("", "", "[row.sub(m).div(2) for row, m in zip(x, means)]"),
        ("row, m in zip(x, means)", "row in x", "[row.sub(m).div(2) for row in x]"),
        # The caller looks at its own; not all of it is written; it has no twin.
        ("return x", "return None", None),
        ("row.sub_(m).div_(2)", "row[0].sub_(m).div_(2)", None),
        ("row.sub_(m).div_(2)", "row.copy_(m)", None),
    ],
)
def test_rows_are_made_anew(old: str, new: str, stacked: str | None) -> None:
    source = ROWS.replace(old, new) if old else ROWS
    script = Script(source)
    line = source.splitlines()[3].strip()
    found = outcomes(source, rows_stacked(script.trace(), script.at(line)))
    head, tail = source.partition("    for")[0], source.rpartition("    return")[2]
    wanted = [f"{head}    x = torch.stack({stacked})\n    return{tail}"]
    assert found == (wanted if stacked is not None else [])


GROUPS = """\
groups = []
group = {"params": a}
groups.append(group)
group = {"params": b}
opt = SGD(groups)
"""


@pytest.mark.parametrize(("more", "appended"), [("", True), ("groups.append(group)\n", False)])
def test_the_group_that_was_forgotten_is_appended(more: str, appended: bool) -> None:
    source = GROUPS.replace("opt =", f"{more}opt =")
    script = Script(source)
    helps = hold_more(script.trace(), script.at("opt = SGD(groups)"), [parameter("net.b")])
    wanted = source.replace("opt =", "groups.append(group)\nopt =")
    assert (wanted in outcomes(source, helps)) is appended
