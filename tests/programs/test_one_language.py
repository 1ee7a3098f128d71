"""No page mixes languages: what a Korean reader sees of a program has no English sentence in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphlab import language
from graphlab.commands.report import Asked
from graphlab.commands.run import run
from graphlab.text import one_line

START = "import torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
# What the observer itself has to say of each: why, who, what it could not see.
PROGRAMS = {
    "in_place": """
w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
one, other = w.square().sum(), w.square().mean()
one.backward()
optimizer.step()
other.backward()
""",
    "through_a_function": """
def shift_weights(net):
    nn.init.zeros_(net.weight)
net = nn.Linear(3, 1)
loss = net(net(torch.ones(2, 3)).expand(2, 3)).sum()
shift_weights(net)
loss.backward()
""",
    "left_as_they_were": """
net, net2, net3 = nn.Linear(3, 1), nn.Linear(3, 1), nn.Linear(3, 1)
net2.requires_grad_(False)
groups = [{"params": net.parameters()}, {"params": net2.parameters()}]
groups += [{"params": net3.parameters(), "lr": 0.0}]
optimizer = torch.optim.SGD(groups, lr=0.1)
for step in range(3):
    loss = (net(net2(torch.ones(2, 3)).expand(2, 3)) + net3(torch.ones(2, 3))).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    "checkpoint": """
from torch.utils.checkpoint import checkpoint
calls = []
def layer(x):
    calls.append(1)
    return x.sin() if len(calls) > 1 else x.sin().cos().exp()
x = torch.ones(3, requires_grad=True)
checkpoint(layer, x, use_reentrant=False).sum().backward()
""",
    "checkpoint_of_some": """
from torch.utils.checkpoint import checkpoint
x = torch.ones(3, requires_grad=True)
torch.autograd.grad(checkpoint(torch.sin, x, use_reentrant=True).sum(), x)
""",
    "contract": """
class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, k):
        return x * k
    @staticmethod
    def backward(ctx, grad):
        return grad
x = torch.ones(3, requires_grad=True)
Scale.apply(x, torch.ones(3, requires_grad=True)).sum().backward()
""",
    "contract_shape": """
class Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.t()
    @staticmethod
    def backward(ctx, grad):
        return grad
x = torch.ones(3, 2, requires_grad=True)
Turn.apply(x).sum().backward()
""",
    "hook": """
x = torch.ones(3, requires_grad=True)
y = x * 2
y.register_hook(lambda grad: grad.sum())
y.square().sum().backward()
""",
    "data_replaced": """
net = nn.Linear(4, 2)
loss = net(torch.ones(3, 4)).sum()
for p in net.parameters():
    p.data = torch.empty(0)
loss.backward()
""",
    "gradient_shape": """
x = torch.ones(3, requires_grad=True)
(x * 2).backward(gradient=torch.ones(4))
""",
    "log_of_zero": """
w = torch.tensor([1.0, 0.0, -1.0], requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for step in range(2):
    loss = torch.log(w).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    "overflow": """
w = torch.full((4,), 50.0, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for step in range(2):
    loss = torch.exp(w * 2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    "root_of_zero": """
w = torch.tensor([0.0, 1.0, 4.0], requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
loss = torch.sqrt(w).sum()
loss.backward()
optimizer.step()
""",
    "another_thread": """
import threading
w = torch.ones(3, requires_grad=True)
def work():
    (w * 2).backward()
thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
    "asked_later": """
x = torch.zeros(3)
x.register_hook(print)
""",
}
# Of each, what it is there for: these are among the keys of its report.
KEYS = {
    "through_a_function": ("by.through",),
    "left_as_they_were": ("untouched.frozen", "untouched.rate"),
    "checkpoint": ("checkpoint.changed",),
    "checkpoint_of_some": ("checkpoint.reentrant",),
    "contract": ("contract.number",),
    "contract_shape": ("contract.shape",),
    "hook": ("failed.hook",),
    "data_replaced": ("failed.data_replaced",),
    "gradient_shape": ("refused.shape",),
    "log_of_zero": ("values.some",),
    "overflow": ("values.range",),
    "another_thread": ("unseen.thread_ended",),
    "asked_later": ("by.unasked",),
}
WORDS = re.compile(r"[A-Za-z][a-z']*(?:[ ,]+(?:[A-Za-z][a-z']+|a)){2,}")
HANGUL = re.compile("[가-힣]")
# Names of settings, of torch's terms and of kinds of tensors, one after the other in a sentence.
NAMES = re.compile(r"[\w.]+\(.*?\)|`[^`]*`|(?:torch\.)?(?:stack|cat|where|unbind|split|chunk)\b")


@pytest.fixture(autouse=True)
def korean() -> Iterator[None]:
    language.choose("ko")
    yield
    language.choose("en")


def english(text: str) -> list[str]:
    return WORDS.findall(NAMES.sub("·", text))


def printed(out: str) -> list[str]:
    """The lines of a report that are no code and no change of it."""
    return [
        each for each in out.splitlines() if "│" not in each and not re.match(r" +[+-⋮] ", each)
    ]


def texts(value: Any, key: str = "") -> Iterator[str]:
    """What a page shows in words: not the source, not a change of it, not torch's own message."""
    if key in ("lines", "code", "diff", "words", "name", "title", "message", "here", "proof"):
        return
    if isinstance(value, str):
        yield value
    for each in value if isinstance(value, list) else ():
        yield from texts(each, key)
    for name, each in value.items() if isinstance(value, dict) else ():
        yield from texts(each, name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_page_mixes_languages(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / f"{name}.py"
    script.write_text(START + PROGRAMS[name], encoding="utf-8")
    html, report = tmp_path / "page.html", tmp_path / "report.json"
    asked = Asked(explain=True, json_file=str(report), html_file=str(html), quiz=True)
    run(str(script), [], asked)
    out, err = capsys.readouterr()
    held = report.read_text(encoding="utf-8")
    assert all(f'"observed.{key}"' in held for key in KEYS.get(name, ()))
    # What is for machines is English, with the keys beside it.
    assert not HANGUL.search(held)
    assert HANGUL.search(out)
    assert [line for line in printed(out) if english(line)] == []
    assert "플레이어: " in err and "the player" not in err
    document = html.read_text(encoding="utf-8")
    data = re.search(
        r'<script type="application/json" class="gl-data">(.*?)</script>', document, re.S
    )
    assert data is not None
    shown = [*texts(json.loads(data[1]))]
    shown += re.findall(r"<text[^>]*>([^<]*)</text>", document)
    assert [one_line(each) for each in shown if english(each)] == []


def test_english_is_told_apart() -> None:
    assert english("역전파가 하나: did not run as before") and english("the value, a weight")
    assert not english("`a b c d`를 torch.no_grad() 안에서 backward 호출에 씁니다")
