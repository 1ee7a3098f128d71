"""The rule pages and their examples, judged by plain torch alone.

graphlab takes no part here: the pages are one of the things it is later measured against.
"""

from __future__ import annotations

import contextlib
import dis
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

PAGES = Path(__file__).parents[2] / "docs" / "rules"
RAISING = {
    "GL000": "backward-failed",
    "GL001": "stale-saved-tensor",
    "GL002": "graph-already-freed",
    "GL003": "leaf-modified-in-place",
    "GL004": "view-modified-in-place",
    "GL005": "no-graph",
    "GL006": "unused-input",
    "GL007": "non-scalar-loss",
    "GL008": "checkpoint-mismatch",
    "GL009": "inference-tensor",
    "GL010": "function-contract",
    "GL011": "no-second-derivative",
    "GL012": "not-a-leaf",
    "GL013": "overlapping-memory",
    "GL014": "vmap-in-place",
    "GL015": "graph-given-to-numpy",
    "GL016": "optimizer-refused",
    "GL017": "one-value-per-channel",
}
SILENT = {
    "GL101": "mixed-gradients",
    "GL102": "leftover-gradients",
    "GL103": "parameter-without-optimizer",
    "GL104": "optimizer-holds-strangers",
    "GL105": "version-counter-bypassed",
    "GL106": "graph-grows",
    "GL107": "parameter-in-two-optimizers",
    "GL108": "wasted-gradients",
    "GL109": "step-without-new-gradients",
    "GL110": "parameter-never-reached",
    "GL111": "optimizer-never-steps",
    "GL112": "gradients-discarded",
    "GL113": "restored-onto-itself",
    "GL114": "clipping-without-effect",
    "GL115": "softmax-twice",
    "GL116": "freeze-without-effect",
    "GL117": "tie-broken",
    "GL118": "loss-term-without-graph",
    "GL119": "loss-never-used",
    "GL120": "gradients-all-zero",
    "GL121": "module-registered-twice",
    "GL122": "trained-in-eval-mode",
    "GL123": "loss-over-all-pairs",
    "GL124": "eval-mode-undone",
    "GL125": "result-discarded",
    "GL126": "statistics-left-behind",
    "GL127": "setting-never-read",
    "GL128": "nothing-loaded",
    "GL129": "hook-added-again",
    "GL130": "scores-viewed",
    "GL131": "labels-without-loss",
    "GL132": "schedule-off",
    "GL133": "scaled-gradients-applied",
    "GL134": "hook-returns-nothing",
    "GL135": "optimizer-made-anew",
    "GL136": "dropout-in-evaluation",
    "GL137": "averaged-into-the-trained",
    "GL138": "backward-by-hand",
    "GL139": "fixed-network-in-training-mode",
    "GL140": "trained-as-a-number",
    "GL141": "stored-items-changed",
    "GL142": "equal-units",
    "GL143": "batch-read-as-time",
    "GL144": "only-last-turn",
    "GL146": "drawn-without-gradient",
    "GL147": "straight-through-cancelled",
    "GL148": "state-cut-each-step",
    "GL149": "step-undone",
    "GL201": "non-finite-value",
    "GL202": "non-finite-gradient",
}
NAMES = RAISING | SILENT
HEADINGS = [
    "What it does",
    "Why is this bad",
    "Example",
    "Use instead",
    "Fixes that only silence it",
    "Known limits",
]
# Only enough of each message to tell one refusal from another, in words old and new.
REFUSALS = {
    "GL000": "is invalid for input of size",
    "GL001": "modified by an inplace operation",
    "GL002": "backward through the graph a second time",
    "GL003": "a leaf Variable that requires grad is being used in an in-place",
    "GL004": "is a view and is being modified inplace",
    "GL005": "does not have a grad_fn",
    "GL006": "not have been used in the graph",
    "GL007": "only for scalar outputs",
    "GL008": "different number of tensors was saved",
    "GL009": "Inference tensors cannot be saved for backward",
    "GL010": "an incorrect number of gradients",
    "GL011": "is not implemented",
    "GL012": "can't optimize a non-leaf Tensor",
    "GL013": "more than one element of the written-to tensor",
    "GL014": "vmap: inplace",
    "GL015": "on Tensor that requires grad",
    "GL016": "more than one parameter group",
    "GL017": "more than 1 value per channel",
}
# A gradient that D receives from G's loss and drops is no fault of either loop.
INFO = {"GL108"}


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    summary: str
    sections: dict[str, str]
    prose: list[str]

    @property
    def bad(self) -> str:
        return _block(self.sections["Example"])

    @property
    def good(self) -> str:
        return _block(self.sections["Use instead"])


@cache
def read_page(code: str) -> Page:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    head, *parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    title, summary = head.strip().split("\n\n")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL).splitlines()
    return Page(title, summary, dict(zip(parts[::2], parts[1::2], strict=True)), prose)


def _block(section: str) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, "this section holds exactly one python block"
    return blocks[0]


class Number(float):
    """A number that was taken out of a tensor with a graph."""

    def _product(self, other: Any) -> Any:
        return Number(float(self) * other) if isinstance(other, int | float) else other * self

    __mul__ = __rmul__ = _product


class Oracle:
    """What a loop gives away to someone who holds all its tensors.

    It keeps every gradient and every saved tensor alive, so it is of use only on loops as small
    as those on the pages. ``codes`` collects the silent faults that it saw.
    """

    def __init__(self) -> None:
        self.codes: set[str] = set()
        self.optimizers: list[Any] = []
        self.contributions: list[dict[Any, Any]] = []
        self.conflicts: list[bool] = []
        # Gradients that were applied, each with the optimizer that did.
        self.applied: list[tuple[Any, int]] = []
        self.clipped: dict[Any, Any] = {}
        self.used: list[bool] = []
        # The nodes that some backward has run through.
        self.ran: set[Any] = set()
        # The losses that were computed since the last one.
        self.computed: list[Any] = []
        self.nonzero: set[Any] = set()
        self.before: list[Any] = []
        self.moved: set[Any] = set()
        self.nothing_new = False
        # The weights of frozen norm layers with the statistics that they began with, as they were.
        self.norms: dict[int, Any] = {}
        self.statistics: set[int] = set()
        self.steps: dict[int, int] = {}
        self.steppers: dict[Any, set[int]] = {}
        self.reached: set[Any] = set()
        # The values that state_dict() gave, by identity: (value, its version then).
        self.taken: dict[int, tuple[Any, int]] = {}
        self.tied: list[tuple[Any, str, str]] = []
        # Whether a loss was scaled and the gradients have not been unscaled since.
        self.scaled = False
        # Whether a dropout with gradients has dropped anything.
        self.dropped = False

    def owned(self) -> list[Any]:
        groups = [g for o in self.optimizers for g in o.param_groups]
        return list(dict.fromkeys(p for g in groups for p in g["params"]))

    def before_clear(self, optimizer: Any) -> None:
        for p in (p for g in optimizer.param_groups for p in g["params"]):
            if p.grad is not None and not any(p.grad is g for g, _ in self.applied):
                self.codes.add("GL108")
            for contribution in self.contributions:
                contribution.pop(p, None)

    def after_clear(self) -> None:
        """One that is zeroed in place is cleared too."""
        self.applied = [(grad, by) for grad, by in self.applied if bool(grad.any())]

    def after_backward(self, before: dict[Any, Any]) -> None:
        added = {}
        for p in self.owned():
            if p.grad is not None:
                old = before.get(p)
                added[p] = p.grad.clone() if old is None else p.grad - old
        self.reached |= added.keys()
        self.contributions.append({p: g for p, g in added.items() if bool(g.any())})
        self.nonzero |= self.contributions[-1].keys()
        self.used.append(False)

    def before_step(self, optimizer: Any) -> None:
        groups = optimizer.param_groups
        if any(vars(optimizer).get(k, g[k]) != g[k] for g in groups for k in optimizer.defaults):
            self.codes.add("GL127")
        if all(g["lr"] < 1e-8 * g.get("initial_lr", g["lr"]) for g in groups):
            self.codes.add("GL132")
        self.codes |= {"GL133"} if self.scaled else set()
        mine = [p for g in groups for p in g["params"]]
        with_gradient = [p for p in mine if p.grad is not None]
        fresh = [{p: c[p] for p in mine if p in c} for c in self.contributions]
        self.steps[id(optimizer)] = self.steps.get(id(optimizer), 0) + 1
        self.used = [used or bool(new) for used, new in zip(self.used, fresh, strict=True)]
        if any(p in self.clipped and not torch.equal(p.grad, self.clipped[p]) for p in mine):
            self.codes.add("GL114")
        self.clipped = {}
        self.nothing_new = not any(fresh)
        for p, began in self.before:
            # The step before has moved it, and it is where that one began.
            same = p in self.moved and any(p is each for each in mine)
            self.codes |= {"GL149"} if same and torch.equal(p, began) else set()
        self.before = [(p, p.detach().clone()) for p in mine]
        for p in with_gradient:
            rows = (
                [p, p.grad] if p.dim() > 1 and len(p) > 1 and self.steps[id(optimizer)] > 3 else []
            )
            alike = rows and all(torch.allclose(each, each[:1].expand_as(each)) for each in rows)
            self.codes |= {"GL142"} if alike else set()
        # A gradient that was cleared comes back as a new tensor; one that was not is the same.
        again = [by for p in with_gradient for g, by in self.applied if p.grad is g]
        if again and not self.nothing_new:
            self.codes.add("GL102")
        elif any(by != id(optimizer) for by in again):
            self.codes.add("GL107")
            self.nothing_new = False
        self.applied += [(p.grad, id(optimizer)) for p in with_gradient]
        for p in with_gradient:
            self.steppers.setdefault(p, set()).add(id(optimizer))
        parts = [
            torch.cat([c[p].flatten() if p in c else torch.zeros(p.numel()) for p in mine])
            for c in fresh
            if c
        ]
        if parts:
            total = torch.stack(parts).sum(0)
            self.conflicts.append(any(torch.dot(total, part) < 0 for part in parts))
        for contribution in self.contributions:
            for p in mine:
                contribution.pop(p, None)

    def after_step(self) -> None:
        self.moved = {p for p, began in self.before if not torch.equal(p, began)}
        if self.nothing_new and any(not torch.equal(p, old) for p, old in self.before):
            self.codes.add("GL109")

    def unpack(self, saved: tuple[Any, Any]) -> Any:
        tensor, copy = saved
        if tensor.data_ptr() in self.statistics:
            # In training, a norm layer's backward takes the numbers of the batch.
            return tensor
        # NaN is not equal to itself.
        if not torch.equal(tensor.nan_to_num(), copy.nan_to_num()):
            self.codes.add("GL105")
        return tensor

    def before_backward(self, node: Any) -> None:
        pending = [node]
        while pending:
            node = pending.pop()
            if node is not None and node not in self.ran:
                self.ran.add(node)
                pending += [each for each, _ in node.next_functions]

    def at_end(self, names: dict[str, Any]) -> None:
        modules = [v for v in names.values() if isinstance(v, torch.nn.Module)]
        registered = {p for m in modules for p in m.parameters()}
        live = registered | {v for v in names.values() if isinstance(v, torch.Tensor) and v.is_leaf}
        for optimizer in self.optimizers:
            mine = {p for g in optimizer.param_groups for p in g["params"]}
            if self.steps.get(id(optimizer)):
                self.codes |= {"GL104"} if mine - live else set()
                self.codes |= {"GL110"} if mine - self.reached else set()
        if any(p.grad is not None for p in registered - set(self.owned())):
            self.codes.add("GL103")
        if any(self.steps and id(o) not in self.steps for o in self.optimizers):
            self.codes.add("GL111")
        elif self.steps and self.used and self.used.count(False) >= self.used.count(True):
            self.codes.add("GL112")
        if self.codes & {"GL111", "GL112"}:
            # That they were cleared is the fault itself.
            self.codes.discard("GL108")
        if self.reached - self.nonzero:
            self.codes.add("GL120")
        if any(len(p._backward_hooks or ()) > 1 for p in registered):
            self.codes.add("GL129")
        trained = bool(self.steps) and len(self.optimizers) == 1
        losses = [v for n, v in names.items() if n.endswith("_loss") and n != "running_loss"]
        made = [each.grad_fn for each in losses if isinstance(each, torch.Tensor)]
        if trained and any(node is not None and node not in self.ran for node in made):
            self.codes.add("GL119")
        # Losing now and then is what opponents do; losing most of the time is the fault.
        if self.conflicts.count(True) > len(self.conflicts) / 4:
            self.codes.add("GL101")
        for each in (inner for m in modules for inner in m.modules()):
            if vars(each).get("requires_grad") is False:
                self.codes |= (
                    {"GL116"} if any(p.requires_grad for p in each.parameters()) else set()
                )
            children = [c for c in each._modules.values() if c is not None and list(c.parameters())]
            self.codes |= {"GL121"} if len({*map(id, children)}) < len(children) else set()
        for module, one, other in self.tied:
            if module.get_parameter(one) is not module.get_parameter(other):
                self.codes.add("GL117")
        iterations = max(self.steps.values(), default=0)
        tensors = [v for v in names.values() if isinstance(v, torch.Tensor)]
        if any(iterations and _count_losses(t) >= iterations for t in tensors):
            self.codes.add("GL106")

    def after_state_dict(self, values: dict[str, Any]) -> None:
        self.taken |= {id(value): (value, value._version) for value in values.values()}

    def before_load(self, module: Any, values: dict[str, Any]) -> None:
        own = dict(module.named_parameters(remove_duplicate=False))
        self.tied += [
            (module, one, other)
            for one in own
            for other in own
            if one < other and own[one] is own[other]
        ]
        for name, value in values.items():
            taken = self.taken.get(id(value))
            if taken and value.data_ptr() == own[name].data_ptr() and taken[1] != value._version:
                self.codes.add("GL113")


def _count_losses(tensor: Any) -> int:
    """How many losses, each with its final mean, the graph behind ``tensor`` still holds."""
    seen: set[Any] = set()
    waiting = [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return sum(node.name().startswith("Mean") for node in seen)


@contextlib.contextmanager
def listening(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    backward, optimizer_class = torch.Tensor.backward, torch.optim.Optimizer
    construct, clear = optimizer_class.__init__, optimizer_class.zero_grad
    module_class = torch.nn.Module
    give, load = module_class.state_dict, module_class.load_state_dict

    def patched_construct(self: Any, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        mine = [p for g in self.param_groups for p in g["params"]]
        before = [[*o.state] for o in oracle.optimizers if type(o) is type(self)]
        if sum(len(each) == len(mine) and set(each) == {*mine} for each in before) > 1:
            oracle.codes.add("GL135")
        oracle.optimizers.append(self)
        self.register_step_pre_hook(lambda optimizer, *_: oracle.before_step(optimizer))
        self.register_step_post_hook(lambda *_: oracle.after_step())

    def patched_clear(self: Any, *args: Any, **kwargs: Any) -> None:
        oracle.before_clear(self)
        clear(self, *args, **kwargs)
        oracle.after_clear()

    def patched_give(self: Any, *args: Any, **kwargs: Any) -> Any:
        values = give(self, *args, **kwargs)
        oracle.after_state_dict(values)
        return values

    def patched_load(self: Any, values: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.state_dict().keys() & values.keys():
            oracle.codes.add("GL128")
            return load(self, values, *args, **kwargs)
        oracle.before_load(self, values)
        return load(self, values, *args, **kwargs)

    def patched_backward(self: Any, *args: Any, **kwargs: Any) -> None:
        before = {p: p.grad.clone() for p in oracle.owned() if p.grad is not None}
        oracle.before_backward(self.grad_fn)
        oracle.codes |= {"GL138"} if _forgets_the_gradient(self.grad_fn) else set()
        oracle.codes |= {"GL147"} if _cancels(self.grad_fn) else set()
        oracle.codes |= {"GL146"} if _has_one_of(self.grad_fn, drawn) else set()
        dropped = [each for each in oracle.computed if each not in oracle.ran]
        oracle.codes |= {"GL144"} if len(dropped) > 1 else set()
        oracle.computed.clear()
        backward(self, *args, **kwargs)
        oracle.after_backward(before)
        finite = all(bool(p.grad.isfinite().all()) for p in oracle.owned() if p.grad is not None)
        if not finite and not oracle.codes & {"GL201", "GL202"}:
            # Who was first: the loss, or a gradient of one that is finite?
            oracle.codes.add("GL202" if bool(self.isfinite().all()) else "GL201")

    functional, utils = torch.nn.functional, torch.nn.utils
    cross_entropy, clip = functional.cross_entropy, utils.clip_grad_norm_
    dropout, batch_norm = functional.dropout, functional.batch_norm
    cosine = functional.cosine_embedding_loss
    item, add, subtract = torch.Tensor.item, torch.Tensor.__add__, torch.Tensor.__sub__
    clamp, add_hook = torch.Tensor.clamp, torch.Tensor.register_hook
    lerp = torch.Tensor.lerp_
    mse_loss = torch.nn.functional.mse_loss
    scale, unscale = torch.amp.GradScaler.scale, torch.amp.GradScaler.unscale_

    def patched_cross_entropy(logits: Any, *args: Any, **kwargs: Any) -> Any:
        if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), torch.ones(len(logits))):
            oracle.codes.add("GL115")
        rows = logits._base
        if logits.dim() == 3 and rows is not None and rows.shape[-1] == logits.shape[1]:
            # The scores of a row lie beside each other, wherever the classes are said to be.
            oracle.codes |= {"GL130"} if logits.stride(1) != 1 else set()
        loss = cross_entropy(logits, *args, **kwargs)
        oracle.computed += [loss.grad_fn] if loss.requires_grad else []
        return loss

    def patched_cosine(one: Any, other: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        if bool((target == 0).any()):
            oracle.codes.add("GL131")
        return cosine(one, other, target, *args, **kwargs)

    def patched_dropout(
        values: Any, p: float = 0.5, training: bool | None = None, *args: Any
    ) -> Any:
        if training is None:
            oracle.codes |= set() if torch.is_grad_enabled() else {"GL136"}
            return dropout(values, p)
        if torch.is_grad_enabled():
            oracle.codes |= {"GL122"} if oracle.dropped and not training else set()
            oracle.dropped |= training
        return dropout(values, p, training, *args)

    def patched_norm(
        values: Any, mean: Any, var: Any, weight: Any, bias: Any, training: bool, *args: Any
    ) -> Any:
        if training and mean is not None and not torch.is_grad_enabled():
            oracle.codes |= {"GL139"} if all(weight is not p for p in oracle.owned()) else set()
        if training and mean is not None:
            oracle.statistics |= {mean.data_ptr(), var.data_ptr()}
        if training and weight is not None and not weight.requires_grad:
            oracle.codes.add("GL124")
        if not training and weight is not None and not weight.requires_grad and not mean.any():
            first = oracle.norms.setdefault(id(weight), weight.detach().clone())
            oracle.codes |= set() if torch.equal(first, weight) else {"GL126"}
        return batch_norm(values, mean, var, weight, bias, training, *args)

    def patched_lerp(values: Any, other: Any, weight: float) -> Any:
        # Not `self`: GL116 holds a flag that some method reads of its own object to be meant.
        oracle.codes |= {"GL137"} if values.requires_grad and not other.requires_grad else set()
        return lerp(values, other, weight)

    def patched_mse_loss(values: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        oracle.codes |= {"GL140"} if values.requires_grad and target.requires_grad else set()
        return mse_loss(values, target, *args, **kwargs)

    gru = torch.nn.GRU.forward

    def patched_gru(self: Any, values: Any) -> Any:
        out, state = gru(self, values)

        def seen(grad: Any) -> None:
            # Of a batch of several, one alone has a gradient.
            read = [bool(each.any()) for each in grad.unbind(0 if self.batch_first else 1)]
            oracle.codes |= {"GL143"} if sum(read) == 1 < len(read) else set()

        out.register_hook(seen)
        return out, state

    cell, given = torch.nn.GRUCell.forward, []

    def patched_cell(self: Any, values: Any, state: Any = None) -> Any:
        cut = state is not None and not state.requires_grad
        if cut and given and given[-1].data_ptr() == state.data_ptr():
            oracle.codes.add("GL148")
        given.append(cell(self, values, state))
        return given[-1]

    sample, drawn = torch.distributions.Normal.sample, []

    def patched_sample(self: Any, *args: Any) -> Any:
        drawn.append(self.loc.grad_fn)
        return sample(self, *args)

    subtract_in_place, changed = torch.Tensor.__isub__, {}

    def patched_subtract_in_place(self: Any, other: Any) -> Any:
        result = subtract_in_place(self, other)
        if self._is_view():
            before = changed.setdefault(self.data_ptr(), self.tolist())
            oracle.codes |= set() if before == self.tolist() else {"GL141"}
        return result

    def patched_clip(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        parameters = list(parameters)
        norm = clip(parameters, *args, **kwargs)
        oracle.clipped |= {p: p.grad.clone() for p in parameters if p.grad is not None}
        return norm

    def patched_item(self: Any) -> Any:
        return Number(item(self)) if self.grad_fn is not None else item(self)

    def patched_add(self: Any, other: Any) -> Any:
        if isinstance(other, Number):
            oracle.codes.add("GL118")
        return add(self, other)

    def patched_clamp(self: Any, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        after = [
            each.opname
            for each in dis.get_instructions(caller.f_code)
            if each.offset > caller.f_lasti
        ]
        if after[0] == "POP_TOP":
            oracle.codes.add("GL125")
        return clamp(self, *args, **kwargs)

    def patched_scale(self: Any, loss: Any) -> Any:
        oracle.scaled = True
        return scale(self, loss)

    def patched_unscale(self: Any, optimizer: Any) -> None:
        oracle.scaled = False
        unscale(self, optimizer)

    def patched_hook(self: Any, hook: Any) -> Any:
        def called(grad: Any) -> Any:
            given = hook(grad)
            stored = {e.argval for e in dis.get_instructions(hook) if e.opname == "STORE_FAST"}
            if given is None and {*stored} & {*hook.__code__.co_varnames[:1]}:
                oracle.codes.add("GL134")
            return given

        return add_hook(self, called)

    def patched_subtract(self: Any, other: Any) -> Any:
        result = subtract(self, other)
        if isinstance(other, torch.Tensor) and result.numel() > max(self.numel(), other.numel()):
            oracle.codes.add("GL123")
        return result

    with monkeypatch.context() as patch:
        patch.setattr(functional, "cross_entropy", patched_cross_entropy)
        patch.setattr(functional, "cosine_embedding_loss", patched_cosine)
        patch.setattr(functional, "dropout", patched_dropout)
        patch.setattr(torch.nn.GRU, "forward", patched_gru)
        patch.setattr(functional, "batch_norm", patched_norm)
        patch.setattr(utils, "clip_grad_norm_", patched_clip)
        patch.setattr(torch.Tensor, "item", patched_item)
        patch.setattr(torch.Tensor, "lerp_", patched_lerp)
        patch.setattr(torch.nn.functional, "mse_loss", patched_mse_loss)
        patch.setattr(torch.nn.GRUCell, "forward", patched_cell)
        patch.setattr(torch.distributions.Normal, "sample", patched_sample)
        patch.setattr(torch.Tensor, "__isub__", patched_subtract_in_place)
        patch.setattr(torch.Tensor, "__add__", patched_add)
        patch.setattr(torch.Tensor, "__sub__", patched_subtract)
        patch.setattr(torch.Tensor, "clamp", patched_clamp)
        patch.setattr(torch.Tensor, "register_hook", patched_hook)
        patch.setattr(torch.amp.GradScaler, "scale", patched_scale)
        patch.setattr(torch.amp.GradScaler, "unscale_", patched_unscale)
        patch.setattr(optimizer_class, "__init__", patched_construct)
        patch.setattr(optimizer_class, "zero_grad", patched_clear)
        patch.setattr(torch.Tensor, "backward", patched_backward)
        patch.setattr(module_class, "state_dict", patched_give)
        patch.setattr(module_class, "load_state_dict", patched_load)
        yield


def _behind(root: Any) -> Iterator[Any]:
    """Each node of a graph once: the ways through an RNN's are too many to go one by one."""
    pending, seen = [root] if root else [], set()
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            yield node
            pending += [each for each, _ in node.next_functions if each is not None]


def _has_one_of(root: Any, wanted: list[Any]) -> bool:
    """Whether one of the nodes `wanted` is behind `root`."""
    return any(node in wanted for node in _behind(root))


def _cancels(root: Any) -> bool:
    """Whether a sum behind `root` adds what its other summand takes off."""
    for node in _behind(root):
        inner = [each for each in node.next_functions if each[0] is not None]
        if node.name() == "AddBackward0" and len(inner) == 2:
            for one, other in (inner, inner[::-1]):
                if other[0].name() == "SubBackward0" and other[0].next_functions[1] == one:
                    return True
    return False


def _forgets_the_gradient(root: Any) -> bool:
    """Whether a custom backward behind `root` gives the same for another gradient."""
    for node in _behind(root):
        kind = getattr(type(node), "_forward_cls", None)
        if kind is None or kind.__module__ != "__main__":
            continue
        shape = tuple(node._input_metadata[0].shape)
        with contextlib.suppress(RuntimeError, ValueError, TypeError):
            one, other = (kind.backward(node, torch.full(shape, value)) for value in (1.0, 2.0))
            single = isinstance(one, torch.Tensor) and bool(one.any())
            if single and torch.equal(one, other):
                return True
    return False


def run(source: str, name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    with torch.random.fork_rng(), contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, name, "exec"), names)
    return names


def silent_faults(source: str, name: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    oracle = Oracle()
    with listening(oracle, monkeypatch):
        pack = torch.autograd.graph.saved_tensors_hooks(
            lambda t: (t.detach(), t.detach().clone()), oracle.unpack
        )
        with pack:
            names = run(source, name)
    oracle.at_end(names)
    return oracle.codes


def test_there_is_a_page_for_every_code_and_no_other() -> None:
    # Those of several ranks are no programs of one process.
    alone = {path.stem for path in PAGES.glob("*.md") if path.stem < "GL300"}
    assert alone == NAMES.keys()


@pytest.mark.parametrize("code", NAMES)
def test_page_keeps_to_its_form(code: str) -> None:
    page = read_page(code)
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert page.title == f"# {code} {NAMES[code]}"
    assert "\n" not in page.summary and page.summary.count(".") == 1
    assert page.summary.endswith(".") and len(page.summary) < 72
    assert list(page.sections) == HEADINGS
    assert all(section.strip() for section in page.sections.values())
    assert text.count("```python\n") == 2
    assert 40 <= len(text.splitlines()) <= 90
    assert [line for line in page.prose if len(line) > 100] == []
    for block in (page.bad, page.good):
        assert 8 <= len(block.splitlines()) <= 25
        assert max(map(len, block.splitlines())) <= 79
    assert page.bad != page.good


@pytest.mark.parametrize("code", NAMES)
def test_page_only_points_to_codes_that_exist(code: str) -> None:
    text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    assert set(re.findall(r"GL\d+", text)) <= NAMES.keys()


@pytest.mark.parametrize("code", RAISING)
def test_bad_example_raises_what_its_page_is_about(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = Oracle()
    with (
        listening(oracle, monkeypatch),
        pytest.raises((RuntimeError, ValueError), match=REFUSALS[code]),
    ):
        run(read_page(code).bad, f"{code}-bad")
    assert oracle.codes == set()


@pytest.mark.parametrize("code", SILENT)
def test_bad_example_completes_with_its_own_fault_and_no_other(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(read_page(code).bad, f"{code}-bad")
    assert silent_faults(read_page(code).bad, f"{code}-bad", monkeypatch) == {code}


@pytest.mark.parametrize("code", NAMES)
def test_good_example_is_clean(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(read_page(code).good, f"{code}-good")
    assert silent_faults(read_page(code).good, f"{code}-good", monkeypatch) <= INFO - {code}
