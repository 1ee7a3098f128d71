"""What a trial is asked to do and what it answers: plain JSON, without torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from graphlab.language.stored import keyed, messages_in, table
from graphlab.output import files
from graphlab.trace.film import Film, dumps, loads_both
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint

# How the name of the folder begins that holds the jobs of a command, and all that is of them.
FOLDER = "graphlab-fix-"
# The longest that a program may take to leave once it is told to, in seconds.
GRACE = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """A run of `target` with the text of `texts` in place of these files.

    It is left when iteration `until` has begun (counted from 0) and `at_least` seconds have passed;
    `limit` seconds after its beginning in any case. folder: a scratch copy of the working folder.
    ranks: it runs as so many, each of which gives an answer of its own, at `answer_of`.
    look_from: every operation from this iteration on is asked whether its numbers are finite.
    film: the iteration that explains most is recorded line by line.
    command: the process that waits for the answer. alone: no other is to run beside it.
    """

    target: str
    name: str
    is_module: bool
    arguments: tuple[str, ...]
    answer: str
    texts: dict[str, str] = field(default_factory=dict)
    until: int | None = None
    at_least: float = 0.0
    limit: float | None = None
    folder: str | None = None
    ranks: int = 1
    look_from: int | None = None
    film: bool = False
    command: int = 0
    alone: bool = False

    @property
    def is_alone(self) -> bool:
        return self.alone or self.ranks > 1

    def dumps(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def answer_of(self, rank: int) -> str:
        return self.answer if self.ranks == 1 else f"{self.answer}.{rank}"

    def pid_of(self, rank: int) -> str:
        """The file in which a rank notes its process."""
        return f"{self.answer}.pid-{rank}"

    @classmethod
    def loads(cls, text: str) -> Job:
        words = json.loads(text)
        return cls(**{**words, "arguments": tuple(words["arguments"])})


@dataclass(frozen=True, slots=True)
class Answer:
    """How a run went. left: why it was left before its end, "iterations" or "time". refused: what
    is wrong with the target and what to do, where it could not be run. joint: the traces of several
    ranks, of which `trace` is one for all; of a process that has spawned its ranks, theirs."""

    trace: Trace | None = None
    exit_code: int = 0
    seconds: float = 0.0
    left: str = ""
    saved_bytes: int | None = None
    refused: tuple[str, str] | None = None
    film: Film | None = None
    joint: Joint | None = None

    def write(self, path: str) -> None:
        words = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        del words["film"]
        if self.joint is not None:
            traces = {rank: dumps(each, None) for rank, each in self.joint.traces.items()}
            words["joint"] = {"world": self.joint.world, "traces": traces}
        words["trace"] = dumps(self.trace, self.film) if self.trace is not None else None
        words["texts"] = table(list(self.refused or ()))
        files.write(path, json.dumps(words))

    @classmethod
    def loads(cls, text: str) -> Answer:
        """Raises ValueError for a text that is none."""
        words = json.loads(text)
        if words["trace"] is not None:
            words["trace"], words["film"] = loads_both(words["trace"])
        if words["joint"] is not None:
            written = words["joint"]["traces"]
            traces = {int(rank): loads_both(text)[0] for rank, text in written.items()}
            words["joint"] = Joint(traces, words["joint"]["world"])
        known = messages_in({"texts": words.pop("texts")})
        if words["refused"] is not None:
            words["refused"] = keyed(tuple(words["refused"]), known)
        return cls(**words)
