"""Silent mistakes about the state of modules, in the shapes in which programs make them.

A comment `# <<` marks the line that a finding has to name as its cause.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

_HEAD = "import copy\nimport torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
_STEPS = """
for i in range({steps}):
    loss = ({model}(torch.randn(8, 4)) - 1).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
"""
_TIED = """
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight
    def forward(self, x):
        return self.b(self.a(x))
m = Tied()
"""


def _train(steps: int = 8) -> str:
    build = "opt = torch.optim.Adam(m.parameters(), lr=0.05)\n"
    return build + _STEPS.format(model="m", steps=steps)


SPEAKING = {
    "GL113 a dictionary of detached values": (
        "m = nn.Linear(4, 1)\nbest = {k: v.detach() for k, v in m.state_dict().items()}  # <<\n"
        + _train()
        + "m.load_state_dict(best)\n"
    ),
    "GL113 in a helper, with other things": (
        "def snapshot(net):\n    return {'model': net.state_dict(), 'epoch': 1}  # <<\n"
        "m = nn.Linear(4, 1)\nkept = snapshot(m)\n"
        + _train()
        + "m.load_state_dict(kept['model'])\n"
    ),
    "GL113 through NumPy": (
        "m = nn.Linear(4, 1)\nbest = {k: v.numpy() for k, v in m.state_dict().items()}  # <<\n"
        + _train()
        + "m.load_state_dict({k: torch.from_numpy(v) for k, v in best.items()})\n"
    ),
    "GL113 an optimizer's": (
        "m = nn.Linear(4, 1)\n"
        + _train()
        + "kept = opt.state_dict()  # <<\n"
        + _STEPS.format(model="m", steps=3)
        + "opt.load_state_dict(kept)\n"
    ),
    "GL113 a target handed over twice": (
        "class Agent:\n    def __init__(self, net, target):\n"
        "        self.net, self.target = net, target\n"
        "    def sync(self):\n        self.target.load_state_dict(self.net.state_dict())\n"
        "m = nn.Linear(4, 1)\nagent = Agent(m, m)  # <<\n" + _train() + "agent.sync()\n"
    ),
    "GL116 in a loop over children": (
        "m = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))\n"
        "for child in list(m.children())[:1]:\n    child.requires_grad = False  # <<\n" + _train()
    ),
    "GL116 by setattr": (
        "m = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))\n"
        "setattr(m[0], 'requires_grad', False)  # <<\n" + _train()
    ),
    "GL117 a half replaced": _TIED
    + _train(steps=2)
    + "m.b = copy.deepcopy(m.b)  # <<\n"
    + _train(),
    "GL104 one of a Sequential": (
        "m = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))\n"
        "opt = torch.optim.Adam(m.parameters())\nm[1] = nn.Linear(4, 1)  # <<\n"
        + _STEPS.format(model="m", steps=8)
    ),
    "GL104 by each call of forward": (
        "class Shifted(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.out = nn.Linear(4, 1)\n    def forward(self, x):\n"
        "        self.a = nn.Parameter(torch.ones(4))  # <<\n"
        "        self.b = nn.Parameter(torch.ones(4))\n"
        "        return self.out(x * self.a + self.b)\n"
        "m = Shifted()\nm(torch.ones(1, 4))\n" + _train()
    ),
    "GL104 in the loop itself": (
        "m = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))\n"
        "opt = torch.optim.SGD(m.parameters(), lr=0.1)\nfor i in range(16):\n    if i == 4:\n"
        "        m[1] = nn.Linear(4, 1)  # <<\n    loss = m(torch.randn(8, 4)).square().mean()\n"
        "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
    ),
    "GL103 a view of a parameter": (
        "class Gain(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.gain = nn.Parameter(torch.ones(1, 4)).expand(8, -1)  # <<\n"
        "        self.out = nn.Linear(4, 1)\n"
        "    def forward(self, x):\n        return self.out(x * self.gain)\n"
        "m = Gain()\n" + _train()
    ),
    "GL103 after the model was moved": (
        "m = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))\n"
        "opt = torch.optim.Adam(m[1].parameters())  # <<\n"
        + _STEPS.format(model="m", steps=8)
        + "m.to('cpu')\nm.double()\n"
    ),
    "GL110 a lone parameter by its value": (
        "m, t = nn.Linear(4, 1), nn.Parameter(torch.ones(1))\n"
        "opt = torch.optim.Adam([*m.parameters(), t])\nfor i in range(8):\n"
        "    y = m(torch.randn(8, 4)) / t.item()  # <<\n    loss = y.square().mean()\n"
        "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
    ),
    "GL106 in a buffer of tuples": (
        "m, buffer = nn.Linear(4, 1), []\nopt = torch.optim.Adam(m.parameters())\n"
        "for i in range(10):\n    x = torch.randn(8, 4)\n    y = m(x)\n"
        "    loss = y.square().mean()\n    opt.zero_grad()\n    loss.backward()\n"
        "    opt.step()\n    buffer.append((x, y))  # <<\n"
    ),
}
# A network that is trained, a copy of it, and how that follows.
_COPIED = (
    "import copy\nm = nn.Linear(4, 1)\nt = copy.deepcopy(m)\n"
    "opt = torch.optim.SGD(m.parameters(), lr=0.1)\nfor i in range(8):\n"
    "    loss = (m(torch.randn(8, 4)) - t(torch.randn(8, 4)).detach()).square().mean()\n"
    "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n    {follow}\n"
)
SILENT = {
    "a copy that follows": _COPIED.format(follow="t.load_state_dict(m.state_dict())"),
    "its own values once": _COPIED.format(
        follow="i == 3 and t.load_state_dict(t.state_dict())"
    ),
    "its own values, cloned": _COPIED.format(
        follow="t.load_state_dict({k: v.clone() for k, v in t.state_dict().items()})"
    ),
    "its own values, averaged on the way": _COPIED.format(
        follow="s = t.state_dict()\n    for k, v in m.state_dict().items():\n"
        "        s[k].mul_(0.9).add_(v, alpha=0.1)\n    t.load_state_dict(s)"
    ),
    "its own values, with no step in between": (
        "m = nn.Linear(4, 1)\n" + _train() + "t = nn.Linear(4, 1)\nfor i in range(4):\n"
        "    t.load_state_dict(t.state_dict())\n"
    ),
    "what is trained, its own values": _COPIED.format(
        follow="m.load_state_dict(m.state_dict())"
    ),
    "loaded at once": (
        "m = nn.Linear(4, 1)\n" + _train() + "m.load_state_dict(m.state_dict())\n"
    ),
    "changed on purpose": (
        "m = nn.Linear(4, 1)\n" + _train() + "values = m.state_dict()\n"
        "for value in values.values():\n    value.mul_(0.9)\nm.load_state_dict(values)\n"
    ),
    "a flag that is switched": (
        "m = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))\n"
        "opt = torch.optim.Adam(m.parameters())\nfor i in range(8):\n"
        "    m[0].requires_grad = i % 2 == 0\n    loss = m(torch.randn(8, 4)).square().mean()\n"
        "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
    ),
    "untied on purpose": (
        _TIED + _train(steps=2)
        + "m.b.weight = nn.Parameter(m.a.weight.detach().clone())\n" + _train()
    ),
    "data that requires grad": (
        "m, data = nn.Linear(4, 1), torch.randn(8, 4, requires_grad=True)\n"
        "opt = torch.optim.Adam(m.parameters())\nfor i in range(8):\n"
        "    loss = (m(data) - 1).square().mean()\n"
        "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
    ),
    "a module that is called by its forward": (
        "m, n = nn.Linear(4, 1), nn.Linear(4, 1)\n"
        "opt = torch.optim.Adam([*m.parameters(), *n.parameters()])\nfor i in range(8):\n"
        "    x = torch.randn(8, 4)\n    loss = (m.forward(x) + n(x)).square().mean()\n"
        "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
    ),
}  # fmt: skip


def _told(observe: Any, folder: Path, text: str) -> tuple[list[Any], list[int]]:
    path = folder / "program.py"
    path.write_text(_HEAD + text)
    lines = [at for at, line in enumerate(path.read_text().splitlines(), 1) if "# <<" in line]
    found = observe(path).findings
    return [each for each in found if each.severity != "info"], lines


@pytest.mark.parametrize("what", SPEAKING)
def test_the_line_is_named(observe: Any, tmp_path: Path, what: str) -> None:
    told, lines = _told(observe, tmp_path, SPEAKING[what])
    assert [each.code for each in told] == [what.split()[0]], [each.summary for each in told]
    assert told[0].cause is not None and told[0].cause.at.line in lines


@pytest.mark.parametrize("what", SILENT)
def test_right_programs_are_not_spoken_of(observe: Any, tmp_path: Path, what: str) -> None:
    told, _ = _told(observe, tmp_path, SILENT[what])
    assert told == [], [each.summary for each in told]


def test_an_average_that_is_the_weights_is_told_once(observe: Any) -> None:
    """What swaps it in and out copies values onto themselves only for that."""
    corpus = Path(__file__).parents[1] / "corpus" / "silent"
    assert observe(corpus / "average_registered_without_copies.py").only.code == "GL113"
