"""Output files: refused early, written to a temporary name, renamed when whole."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from graphlab.errors import UserError


def check(path: str | None, force: bool) -> None:
    """Refuse an output file before the work, not after it."""
    if path is None or path == "-":
        return
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{path} is a folder", "name a file in it")
    if target.exists() and not force:
        raise UserError(f"{path} already exists", "add --force to replace it, or name another file")
    folder = target.absolute().parent
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}", "make it first, or name another file")
    if not os.access(folder, os.W_OK):
        raise UserError(f"cannot write in {folder}", "name a file in a folder of your own")


def write(path: str, text: str | bytes, force: bool = True) -> None:
    """Write `text` whole or not at all; ``-`` is stdout. Without `force` a file that has come to
    be there since `check` is kept."""
    if path == "-":
        sys.stdout.write(text if isinstance(text, str) else text.decode())
        return
    data = text.encode() if isinstance(text, str) else text
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)
            if force:
                os.replace(name, target)
            else:
                os.link(name, target)
                os.unlink(name)
        except BaseException:
            os.unlink(name)
            raise
    except FileExistsError:
        raise UserError(
            f"{path} already exists: it came to be there meanwhile", "add --force to replace it"
        ) from None
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}", "name another file") from None
