"""The player from the command line, from a saved trace, and from a session."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import graphlab
from graphlab.errors import UserError

QUICK = ("--", "--steps", "2", "--device", "cpu")


def told(path: Path) -> list[dict[str, Any]]:
    """The data of every run in a page."""
    pattern = r'<script type="application/json"[^>]*>(.*?)</script>'
    (found,) = re.findall(pattern, path.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found)["plays"]


@pytest.fixture(scope="module")
def saved(command_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with naive.html and naive.json, as one command wrote them."""
    folder = tmp_path_factory.mktemp("saved")
    ran = command_in(
        folder, "run", "naive", "--html", "naive.html", "--trace", "naive.json", *QUICK
    )
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.endswith("\nthe player: naive.html\n")
    assert "error[GL001]" in ran.stdout and "naive.html" not in ran.stdout
    return folder


def test_run_writes_one_page(saved: Path) -> None:
    page = saved / "naive.html"
    assert page.stat().st_size < 400_000
    (play,) = told(page)
    assert play["title"] == "naive"
    assert play["findings"][0]["code"] == "GL001"


def test_against_another_run(saved: Path, tmp_path: Path, command: Any) -> None:
    words = ("run", "naive", "--against", "detach", "--quiz", "--html", "both.html")
    ran = command(*words, *QUICK)
    assert ran.returncode == 1, ran.stderr
    assert (tmp_path / "both.html").stat().st_size < 400_000
    naive, detach = told(tmp_path / "both.html")
    assert (naive["title"], detach["title"]) == ("naive", "detach")
    assert [other["title"] for other in naive["others"]] == ["detach"]
    assert any(sign == "+" and "detach()" in text for sign, text in naive["others"][0]["diff"])
    assert detach["findings"] == []
    assert naive["quiz"] and detach["quiz"]
    trace = str(saved / "naive.json")
    ran = command("run", "--from", trace, "--against", trace, "--html", "same.html")
    assert ran.returncode == 0, ran.stderr
    one, other = told(tmp_path / "same.html")
    assert one["others"][0]["diff"] == []
    assert one["steps"] == other["steps"]


def test_the_page_on_stdout_stands_alone(saved: Path, command: Any) -> None:
    ran = command("run", "--from", str(saved / "naive.json"), "--html", "-")
    assert ran.stdout.startswith("<!doctype html>") and ran.stdout.endswith("</html>\n")
    assert "error[GL001]" in ran.stderr


def test_render_writes_the_player_too(tmp_path: Path, saved: Path, command: Any) -> None:
    ran = command("render", str(saved / "naive.json"), "-o", "x.html")
    assert (ran.returncode, ran.stdout) == (0, "x.html\n"), ran.stderr
    ran = command("render", "joint", "--at", "1", "-o", "y.html", *QUICK)
    assert (ran.returncode, ran.stdout) == (0, "y.html\n"), ran.stderr
    (play,) = told(tmp_path / "y.html")
    assert play["moment"][0] == "iteration 1"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--level", "op"), ("--depth", "1"), ("--color", "loss"), ("--theme", "dark"),
     ("--loss", "D_loss_"), ("--style", "torchviz"), ("--at", "0")],
)  # fmt: skip
def test_render_refuses_what_the_player_would_not_heed(
    saved: Path, tmp_path: Path, command: Any, option: str, value: str
) -> None:
    ran = command("render", str(saved / "naive.json"), "-o", "z.html", option, value)
    assert ran.returncode == 2
    error, help = ran.stderr.splitlines()
    assert error.startswith(f"error: {option} ") and help.startswith("help: remove ")
    assert not (tmp_path / "z.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("naive", "--against", "detach"), "--against is for the player"),
        (("naive", "--quiz"), "--quiz is for the player"),
        (("naive", "--html", "x.html", "--against", "detahc"), "no scenario is called"),
        (("naive", "--html", "x.html", "--against", "no.json"), "there is no file no.json"),
        (("naive", "--html", "x.html", "--trace", "./x.html"), "both write to"),
        (("naive", "--html", "old.html"), "old.html already exists"),
        (("naive", "--html", "no/x.html"), "there is no folder"),
        (("--from", "bare.json", "--html", "x.html"), "naive has no recorded film"),
    ],
)
def test_what_it_refuses(
    saved: Path, tmp_path: Path, command: Any, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "old.html").write_text("mine")
    bare = json.loads((saved / "naive.json").read_text(encoding="utf-8"))
    del bare["film"]
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    ran = command("run", *words)
    assert ran.returncode == 2
    assert said in ran.stderr.splitlines()[0]
    assert ran.stderr.startswith("error: ") and "\nhelp: " in ran.stderr
    assert ran.stderr.count("\n") == 2
    assert (tmp_path / "old.html").read_text() == "mine"
    assert not (tmp_path / "x.html").exists()


def test_another_run_that_fails_to_begin(saved: Path, tmp_path: Path, command: Any) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    trace = str(saved / "naive.json")
    ran = command("run", "--from", trace, "--against", "broken.py", "--html", "x.html")
    assert ran.returncode == 2
    assert "error[GL001]" in ran.stdout, "the run itself is reported all the same"
    error, help = ran.stderr.splitlines()[-2:]
    assert (
        error == "error: broken.py was not recorded: line 1 of broken.py is not valid Python: "
        "invalid syntax"
    )
    assert help.startswith("help: ")
    assert not (tmp_path / "x.html").exists()


# From Python


def train() -> None:
    import torch

    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(2):
        loss = layer(torch.ones(3, 2)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_a_session_that_films(tmp_path: Path) -> None:
    with graphlab.watch("two steps", film=True) as session:
        train()
    player = session.player()
    (play,) = player.runs
    lines = [moment.at.code for moment in play.film.moments]
    first = lines.index("loss = layer(torch.ones(3, 2)).square().mean()")
    assert lines[first : first + 4] == [
        "loss = layer(torch.ones(3, 2)).square().mean()",
        "optimizer.zero_grad()",
        "loss.backward()",
        "optimizer.step()",
    ]
    assert session.save_html(tmp_path / "x.html") == str(tmp_path / "x.html")
    assert told(tmp_path / "x.html")[0]["title"] == "two steps"


def test_a_session_begun_anew_films_again() -> None:
    session = graphlab.watch(film=True)
    for _ in range(2):
        with session:
            train()
        assert session.player().runs[0].film.moments


def test_a_session_that_does_not_film() -> None:
    with graphlab.watch() as session:
        train()
    with pytest.raises(UserError, match="no recorded film"):
        session.player()


def test_the_program_is_the_same_under_the_camera() -> None:
    import torch

    def run() -> tuple[bytes, bytes]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(5, 3)).square().mean().backward()
            optimizer.step()
        values = b"".join(each.detach().numpy().tobytes() for each in net.parameters())
        return values, torch.get_rng_state().numpy().tobytes()

    alone = run()
    with graphlab.watch(film=True) as session:
        filmed = run()
    assert filmed == alone
    assert session.trace.unseen == ()
