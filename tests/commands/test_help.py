"""What --help prints, in every language, and how a command line that is wrong is answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.cells import cell_len
from typer.main import get_command

from graphlab import language
from graphlab.cli import app

HANGUL = re.compile("[가-힣]")
Main = Callable[..., tuple[int, str, str]]


def verbs(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield names, command
    for name, each in getattr(command, "commands", {}).items():
        yield from verbs(each, (*names, name))


VERBS = dict(verbs(get_command(app)))


@pytest.fixture(params=[*language.LANGUAGES])
def spoken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GRAPHLAB_LANG", request.param)
    language.choose(None)
    yield request.param
    language.choose("en")


@pytest.mark.parametrize("names", VERBS, ids=lambda names: " ".join(names) or "graphlab")
def test_the_help_of_a_verb_names_all_of_it(
    main: Main, spoken: str, names: tuple[str, ...]
) -> None:
    code, out, err = main(*names, "--help")
    assert (code, err) == (0, "")
    assert all(cell_len(line) <= 80 for line in out.splitlines())
    verb = VERBS[names]
    for each in verb.params:
        assert all(
            re.search(rf"(?<![\w-]){name}(?![\w-])", out) for name in each.opts if "-" in name
        )
    for name in getattr(verb, "commands", {}):
        assert re.search(rf"^  {name} ", out, re.MULTILINE)
    told = [line for line in out.splitlines()[1:] if line.strip()]
    assert told
    if spoken == "ko":
        # A name of several words may fill a line, or a list of values that are said as they are.
        assert sum(not HANGUL.search(line) for line in told) <= 2, out


def test_the_language_may_stand_after_help(main: Main) -> None:
    try:
        assert HANGUL.search(main("run", "--help", "--lang", "ko")[1])
    finally:
        language.choose("en")


def test_every_text_of_the_help_is_shown(main: Main) -> None:
    shown = " ".join(" ".join(main(*names, "--help")[1].split()) for names in VERBS)
    for key, text in language.catalogue("en").items():
        if key.startswith("help.") and "{" not in text:
            for part in text.split("\n\n"):
                assert " ".join(part.split()) in shown, key


@pytest.mark.parametrize(
    ("words", "error", "help"),
    [
        (("explian",), "there is no command 'explian'", "did you mean explain?"),
        (("list", "--lng", "ko"), "has no option --lng", "did you mean --lang?"),
        (("render", "naive", "--at"), "--at needs a value", "--help lists the options"),
        (("fix",), "TARGET is missing", "--help lists the options"),
        (("render", "--depth", "0"), "invalid value '0' for --depth", "a whole number, 1 or more"),
        (("compare", "--seeds", "x"), "invalid value 'x' for --seeds", "a whole number"),
        (("run", "naive", "--budget", "nan"), "invalid value 'nan' for --budget", "a fifth"),
        (("render", "--timeot", "3"), "--timeot is not an option", "TARGET first"),
        (("compare", "--sead", "3"), "--sead", "graphlab run naive -- --help"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_a_mistake_says_what_to_do(
    main: Main, words: tuple[str, ...], error: str, help: str
) -> None:
    code, out, err = main(*words)
    assert (code, out) == (2, "")
    said, todo = err.splitlines()
    assert said.startswith("error: ") and error in said
    assert todo.startswith("help: ") and help in todo
