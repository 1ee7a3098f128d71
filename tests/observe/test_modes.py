"""What is seen of modules that are trained on in eval mode after an evaluation."""

from __future__ import annotations

import contextlib
import io
import textwrap
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.module_sightings import LeftInEval

START = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

def train(steps=3, module=net):
    for _ in range(steps):
        x = torch.randn(8, 4)
        loss = (module(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

def validate(back=False, module=net):
    module.eval()
    with torch.no_grad():
        error = module(torch.randn(8, 4)).square().mean()
    if back:
        module.train()
    return error.item()

"""


def seen(tmp_path: Path, body: str) -> list[LeftInEval]:
    path = tmp_path / "script.py"
    path.write_text(START + textwrap.dedent(body), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return [each for each in ran.trace.sightings if isinstance(each, LeftInEval)]


@pytest.mark.parametrize(
    "body",
    [
        # After the first epoch, and for good.
        """
        for epoch in range(3):
            train()
            validate()
        """,
        # In the middle of an epoch, to its end.
        """
        for epoch in range(3):
            net.train()
            for part in range(3):
                train(2)
                if part == 0:
                    validate()
        """,
        # The evaluation goes through a module that holds it.
        """
        outer = nn.Sequential(net)
        for epoch in range(3):
            train(module=outer)
            validate(module=outer)
        """,
        # inference_mode, and several batches.
        """
        for epoch in range(3):
            train()
            net.eval()
            with torch.inference_mode():
                errors = [net(torch.randn(8, 4)).mean() for _ in range(3)]
        """,
    ],
)
def test_nothing_puts_it_back(tmp_path: Path, body: str) -> None:
    (left,) = seen(tmp_path, body)
    assert left.at is not None and left.at.code in ("module.eval()", "net.eval()")
    assert left.name in ("net", "outer")
    assert left.layers == ("BatchNorm1d", "Dropout")
    assert left.call == "loss.backward()"


def test_a_forward_that_reads_its_own_mode(tmp_path: Path) -> None:
    body = """
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 1)

        def forward(self, x):
            return self.inner(F.dropout(x, 0.5, self.training))

    net = Own()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range(3):
        train(module=net)
        validate(module=net)
    """
    (left,) = seen(tmp_path, body)
    assert left.layers == ("Own",)


@pytest.mark.parametrize(
    ("body", "layers"),
    [
        ("validate()\ntrain()", ("BatchNorm1d", "Dropout")),
        ("before = validate()\nfor epoch in range(3):\n    train()", ("BatchNorm1d", "Dropout")),
        # The whole function runs without gradients.
        (
            """
            @torch.no_grad()
            def baseline(model):
                model.eval()
                return model(torch.randn(8, 4)).mean().item()

            baseline(net)
            train()
            """,
            ("BatchNorm1d", "Dropout"),
        ),
        # A method that forward calls reads the mode.
        (
            """
            class Noisy(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.inner = nn.Linear(4, 1)

                def noise(self, x):
                    return x + torch.randn_like(x) if self.training else x

                def forward(self, x):
                    return self.inner(self.noise(x))

            net = Noisy()
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            validate(module=net)
            train(module=net)
            """,
            ("Noisy",),
        ),
    ],
)
def test_an_evaluation_before_all_training(
    tmp_path: Path, body: str, layers: tuple[str, ...]
) -> None:
    (left,) = seen(tmp_path, body)
    assert left.first
    assert left.layers == layers


def test_a_library_whose_modules_have_a_call_and_a_train_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "site-packages" / "processes.py"
    library.parent.mkdir()
    library.write_text(
        "from torch import nn\n\n"
        "class Process(nn.Module):\n"
        "    def train(self, mode=True):\n"
        "        return super().train(mode)\n\n"
        "    def __call__(self, x):\n"
        "        return self.forward(x * 2 if self.training else x)\n",
        encoding="utf-8",
    )
    # Running a script puts its own folder first.
    monkeypatch.syspath_prepend(str(library.parent))
    monkeypatch.syspath_prepend(str(tmp_path))
    body = """
    from processes import Process

    class Own(Process):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 1)

        def forward(self, x):
            return self.inner(x)

    net = Own()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    validate(module=net)
    train(module=net)
    """
    (left,) = seen(tmp_path, body)
    assert (left.first, left.layers) == (True, ("Own",))
    assert left.at is not None and left.at.code == "module.eval()"


@pytest.mark.parametrize(
    "body",
    [
        "for epoch in range(3):\n    train()\n    validate(back=True)",
        # Evaluated before, and put back.
        "validate(back=True)\ntrain()",
        "validate()\nnet.train()\ntrain()",
        # A function that only loads, and one that trains in eval mode by what it says itself.
        """
        def load():
            net.eval()
            return net

        model = load()
        with torch.no_grad():
            model(torch.randn(8, 4))
        train()
        """,
        """
        def finetune():
            net.eval()
            with torch.no_grad():
                before = net(torch.randn(8, 4)).mean()
            train()

        finetune()
        """,
        # An evaluation of a part that stays frozen: the whole is in training mode.
        """
        outer = nn.Sequential(net, nn.Linear(1, 1))
        outer.register_forward_hook(lambda *given: None)
        optimizer = torch.optim.SGD(outer.parameters(), lr=0.1)
        outer(torch.randn(8, 4))
        validate()
        train(module=outer)
        """,
        # A network that is only asked: nothing steps it.
        """
        judge = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
        validate(module=judge)
        student = nn.Linear(4, 4)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
        train(module=nn.Sequential(student, judge, nn.Linear(4, 1)))
        """,
        "for epoch in range(3):\n    net.train()\n    train()\n    validate()",
        "for epoch in range(3):\n    validate()\n    net.train()\n    train()",
        # Fine-tuning in eval mode, from the start, and from some epoch on.
        "net.eval()\nfor epoch in range(3):\n    train()\n    validate()",
        "train()\nnet.eval()\nfor epoch in range(3):\n    train()",
        # Gradients of an input, in eval mode.
        """
        for epoch in range(3):
            train()
            net.eval()
            x = torch.randn(8, 4, requires_grad=True)
            for _ in range(3):
                net(x).sum().backward()
            net.train()
        """,
        # The last evaluation of all.
        "train()\nvalidate()\nvalidate()",
        # Another loop trains what is built on it.
        """
        train()
        validate()
        head = nn.Linear(1, 1)
        second = torch.optim.SGD(head.parameters(), lr=0.1)
        for _ in range(4):
            with torch.no_grad():
                features = net(torch.randn(8, 4))
            second.zero_grad()
            head(features).square().mean().backward()
            second.step()
        """,
        # Frozen statistics: a part in eval mode, the whole in training mode.
        """
        class Outer(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = net

            def forward(self, x):
                return self.body(x)

        outer = Outer()
        train(module=outer)
        net.eval()
        with torch.no_grad():
            outer(torch.randn(8, 4))
            outer(torch.randn(8, 4))
        train(module=outer)
        """,
        # Nothing in it knows its mode.
        """
        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for epoch in range(3):
            train(module=net)
            validate(module=net)
        """,
        # An actor acts in eval mode, and learns in training mode.
        """
        for episode in range(4):
            net.eval()
            with torch.no_grad():
                actions = [net(torch.randn(1, 4)) for _ in range(3)]
            net.train()
            train()
        """,
    ],
)
def test_put_back_or_meant(tmp_path: Path, body: str) -> None:
    assert seen(tmp_path, body) == []


@pytest.mark.parametrize(("frozen", "mixed"), [("", False), ("net[1].eval()", True)])
def test_layers_that_were_in_eval_mode_all_along_are_told(
    tmp_path: Path, frozen: str, mixed: bool
) -> None:
    (found,) = seen(
        tmp_path,
        f"""
        {frozen}
        train()
        validate()
        train()
        """,
    )
    assert found.mixed is mixed


LOOPS = """\
import torch


def evaluator(model):
    def look(batch):
        model.eval()
        with torch.no_grad():
            return model(batch).square().mean().item()

    return look


def trainer(model, update, batches):
    for batch in batches:
        {back}
        update(batch)
"""


@pytest.mark.parametrize("back", [False, True])
def test_an_evaluation_that_a_library_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    library = tmp_path / "site-packages" / f"engines_{back}.py"
    library.parent.mkdir()
    library.write_text(LOOPS.format(back="model.train()" if back else "pass"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(library.parent))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = seen(
        tmp_path,
        f"""
        from engines_{back} import evaluator, trainer

        def update(x):
            loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        look = evaluator(net)
        for epoch in range(3):
            trainer(net, update, torch.randn(3, 8, 4))
            for batch in torch.randn(2, 8, 4):
                look(batch)
        """,
    )
    lines = [each.at.code for each in found if each.at is not None]
    assert lines == ([] if back else ["look(batch)"])
