"""Reads an error's traceback: its frames, the names that they hold and the source that they run."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from types import FrameType, FunctionType, ModuleType, TracebackType
from typing import Any, NamedTuple

from graphlab.language import message
from graphlab.observe.lineage.values import Values
from graphlab.observe.names import Names
from graphlab.observe.tensors import Named, describe
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import attributes, is_a, variables
from graphlab.source.places import locate
from graphlab.source.statements import Statement, may_have_run, statements
from graphlab.trace.model import Location, TensorInfo

# How many of the user's files are searched for writers.
FILES = 200
# Where a call is handed on while a torch function mode is active, as set_default_device() has one.
_HANDS_ON = ("torch/overrides.py", "torch/utils/_device.py")


class TracebackEntry(NamedTuple):
    """A frame that the exception passed through, and the offset of the instruction that raised."""

    frame: FrameType
    offset: int

    @property
    def at(self) -> Location:
        return locate(self.frame.f_code, self.offset)


def entries_of(traceback: TracebackType | None) -> list[TracebackEntry]:
    """The entries of a traceback, outermost first, without those that only hand a call on."""
    found = []
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.replace("\\", "/").endswith(_HANDS_ON):
            found.append(TracebackEntry(traceback.tb_frame, traceback.tb_lasti))
        traceback = traceback.tb_next
    return found


class ErrorTraceback:
    """The entries of a traceback, outermost first, and a table of the tensors found there.

    `look_from` sets `caller`, the user's innermost entry, with its place `at`, and `names`, what
    the frames around it can name.
    """

    def __init__(self, traceback: TracebackType | None, files: UserFiles) -> None:
        self.files = files
        self.entries = entries_of(traceback)
        self.caller: TracebackEntry | None = None
        self.names = Names(files)
        self.tensors: list[TensorInfo] = []
        self._searched: list[FrameType] = []

    @property
    def at(self) -> Location | None:
        return self.caller.at if self.caller is not None else None

    @classmethod
    def of(cls, error: BaseException, files: UserFiles) -> ErrorTraceback | None:
        """That of `error`, seen from its end; None where no line of the user's in it is known."""
        if error.__traceback__ is None:
            return None
        made = cls(error.__traceback__, files)
        if not made.entries:
            return None
        made.look_from(len(made.entries))
        known = made.caller is not None and made.caller in made.entries and made.at is not None
        return made if known else None

    def look_from(self, before: int) -> None:
        """Look from entry `before` outwards for the user's nearest one, and for names."""
        above = self.entries[:before]
        frames = [entry.frame for entry in reversed(above)]
        # A traceback begins where the exception is caught; what called that still runs.
        outer = frames[-1].f_back if frames else None
        while outer is not None:
            frames.append(outer)
            outer = outer.f_back
        mine = [entry for entry in above if entry.frame.f_code in self.files]
        user = user_frame(frames[0], self.files) if frames and not mine else None
        self.caller = (
            mine[-1] if mine else TracebackEntry(user, user.f_lasti) if user is not None else None
        )
        # Frames below the call, a hook's or a custom Function's, hold names as well.
        below = [entry.frame for entry in reversed(self.entries[before:])]
        self._searched = [*below, *frames]
        self.names = Names(self.files).gather_frames(self._searched)

    def stack(self) -> list[TracebackEntry]:
        """The entries, after those of the frames that caught the exception and still run."""
        above: list[TracebackEntry] = []
        outer = self.entries[0].frame.f_back if self.entries else None
        while outer is not None:
            above.append(TracebackEntry(outer, outer.f_lasti))
            outer = outer.f_back
        return [*reversed(above), *self.entries]

    def source_files(self) -> list[str]:
        """The files of the frames and of what these import, as far as they are the user's."""
        return self._source_files()

    def values(self) -> Values:
        return Values(self._searched, self.names)

    def places(self) -> list[Location]:
        """Where each of the user's frames stood."""
        return [entry.at for entry in self.entries if entry.frame.f_code in self.files]

    def source(self) -> list[Statement]:
        """The statements that may matter and may have run: those of the frames' files and of
        what these import, as far as it is the user's."""
        places = self.places()
        found = [each for name in self._source_files() for each in statements(name)]
        return [each for each in found if may_have_run(each, places)]

    def _source_files(self) -> list[str]:
        mine = [frame for frame in self._searched if frame.f_code in self.files]
        found = dict.fromkeys(frame.f_code.co_filename for frame in mine)
        # A notebook's cells share their variables, and no module imports them.
        found.update(dict.fromkeys(n for n in linecache.cache if "ipy" in n and n in self.files))
        todo = list({id(frame.f_globals): frame.f_globals for frame in mine}.values())
        while todo:
            for value in variables(todo.pop()).values():
                module = value if is_a(value, ModuleType) else _home(value)
                space = attributes(module)
                file = space.get("__file__")
                if type(file) is not str or file in found or file not in self.files:
                    continue
                found[file] = None
                todo.append(space)
        return list(found)[:FILES]

    def add(self, tensor: Any, named: Named) -> int:
        """The tensor's place in the table."""
        return self.add_info(describe(tensor, named.name or None, named.kind, named.owner))

    def add_info(self, info: TensorInfo) -> int:
        if info not in self.tensors:
            self.tensors.append(info)
        return self.tensors.index(info)

    def called(self, index: int) -> str:
        """How a sentence calls a tensor of the table."""
        tensor = self.tensors[index]
        return tensor.name or message("words.tensor_of_shape", shape=str(list(tensor.shape)))


def _home(value: Any) -> ModuleType | None:
    """The module that defines a function or class."""
    if not is_a(value, (FunctionType, type)):
        return None
    name = attributes(value).get("__module__")
    if name is None and type(value) is FunctionType:
        name = value.__module__
    return sys.modules.get(name) if type(name) is str else None


def chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, then those that a printed traceback shows with it."""
    seen: set[int] = set()
    stack = [error]
    while stack:
        each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        before = each.__cause__
        if before is None and not each.__suppress_context__:
            before = each.__context__
        if before is not None:
            stack.append(before)
        if isinstance(each, BaseExceptionGroup):
            stack.extend(each.exceptions)
