"""Output files: checked before the work, written to a temporary name, renamed when complete."""

from __future__ import annotations

import contextlib
import os
import stat

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.output import streams


def check(path: str | None, force: bool) -> str | None:
    """Refuse an output file before the work, not after it. Returns its absolute path, since the
    program may change its working folder; ``-`` (stdout) and None are returned as they are.

    Raises:
        UserError: for a file that exists, unless `force`, and for one that cannot be written.
    """
    if path is None or path == "-":
        return path
    if not path:
        raise UserError(message("usage.empty_name"), message("usage.help.name_one"))
    if path.startswith("-"):
        # The word after an option is its value, whatever it looks like.
        raise UserError(
            message("usage.no_name", path=path), message("usage.help.write_so", path=path)
        )
    target = _target(path)
    if os.path.lexists(target) and not force:
        raise UserError(message("usage.exists", path=path), message("usage.help.force"))
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise UserError(message("usage.no_folder", path=folder), message("usage.help.make_first"))
    if not os.access(folder, os.W_OK):
        raise UserError(message("usage.no_writing", path=folder), message("usage.help.own_folder"))
    return os.path.abspath(path)


def distinct(outputs: dict[str, str | None]) -> None:
    """Refuse two outputs in one file. `outputs` maps the option to the file that it names.

    Raises:
        UserError: where two options name one file, or both stdout.
    """
    named: dict[str, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        other = named.setdefault(path if path == "-" else os.path.realpath(path), option)
        if other != option:
            raise UserError(
                message("usage.both_write", one=other, other=option, path=path),
                message("usage.help.each_its_own"),
            )


def write(path: str, text: str | bytes, force: bool = True) -> None:
    """Write `text` completely or not at all; ``-`` is stdout. A link is followed. Without `force` a
    file that was created since `check` is kept.

    Raises:
        UserError: when the file cannot be written.
    """
    if path == "-":
        streams.document(text)
        return
    data = text.encode() if isinstance(text, str) else text
    target = _target(path)
    try:
        _replace(target, data, force)
    except FileExistsError:
        raise UserError(
            message("usage.exists_meanwhile", path=path), message("usage.help.force_it")
        ) from None
    except OSError as error:
        raise UserError(
            message("usage.cannot_write", path=path, why=str(error.strerror)),
            message("usage.help.another"),
        ) from None


def _target(path: str) -> str:
    """The file that `path` leads to, which need not exist.

    Raises:
        UserError: when it is something other than a file, or cannot be one.
    """
    mode = None
    try:
        target = os.path.realpath(path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = os.stat(target).st_mode
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            message("usage.cannot_write", path=path, why=str(why)), message("usage.help.another")
        ) from None
    if mode is None:
        return target
    if stat.S_ISDIR(mode):
        raise UserError(message("usage.is_folder", path=path), message("usage.help.in_it"))
    if not stat.S_ISREG(mode):
        raise UserError(message("usage.not_regular", path=path), message("usage.help.or_stdout"))
    return target


def _replace(target: str, data: bytes, force: bool) -> None:
    # A short name, since the target's own may be as long as the file system allows.
    name = os.path.join(os.path.dirname(target), f".graphlab-{os.urandom(6).hex()}")
    try:
        with open(name, "xb") as file:
            file.write(data)
        if os.path.exists(target):
            os.chmod(name, stat.S_IMODE(os.stat(target).st_mode))
        if not force:
            # Creates the file, or fails if it exists, in one step.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        try:
            os.replace(name, target)
        except OSError:
            if not force:
                os.unlink(target)
            raise
    except BaseException:
        if os.path.lexists(name):
            os.unlink(name)
        raise
