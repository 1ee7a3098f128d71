"""What a scenario's command line refuses, and how it says so."""

from __future__ import annotations

import pytest
import torch

from graphlab import lab
from tests.lab.asked import arguments, refused


@pytest.mark.parametrize(
    "argv",
    (
        ("--n-epochs", "0"),
        ("--batch-size", "-1"),
        ("--n-latent", "many"),
        ("--n-latent", str(2**31)),
        ("--steps", "1.5"),
        ("--lr", "0"),
        ("--lr", "nan"),
        ("--lr", "inf"),
        ("--lr", "fast"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--arch", "resnet"),
        ("--optimizer", "adamw"),
        ("--data", "cifar"),
        ("--device", "tpu"),
        ("--device", "cuda:x"),
        ("--step", "3"),
        ("left", "over"),
    ),
)
def test_a_wrong_argument_is_one_line_and_a_help(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert argv[-1] in refused(capsys, *argv) or argv[0] == "--step"


def test_a_gpu_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in refused(capsys, "--device", "cuda")
    assert "no CUDA device" in refused(capsys, "--device", "cuda:1")
    assert arguments("--device", "auto").device == torch.device("cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert "no such GPU" in refused(capsys, "--device", "cuda:2")
    assert arguments("--device", "cuda:1").device == torch.device("cuda:1")
    assert arguments("--device", "auto").device == torch.device("cuda")


def test_a_message_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lab.LabError("two\nlines", "and\nthree\nmore")
    assert capsys.readouterr().err == "error: two lines\nhelp: and three more\n"


def test_help_shows_the_scenario_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        lab.arguments("The lesson, 95 % of it.", argv=["--help"])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert "The lesson, 95 % of it." in out
    assert "--n-epochs" in out
    assert err == ""
