"""A scratch copy of the working folder, for programs that write files as they run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from graphlab.errors import UserError
from graphlab.language import message

# What no program writes to that is worth copying.
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "venv", "__pycache__", "node_modules")
MOST = 2 * 1024**3


def copy_of(folder: str, into: Path) -> str:
    """A copy of `folder` in a new folder in `into`; links stay links.

    Raises:
        UserError: for a folder of more than `MOST` bytes, or one that cannot be copied.
    """
    size = 0
    for here, folders, names in os.walk(folder):
        folders[:] = set(folders) - _LEFT_OUT(here, folders)
        size += sum(os.lstat(os.path.join(here, each)).st_size for each in names)
        if size > MOST:
            raise UserError(
                message("fix.refused.too_large", path=folder, size=f"{MOST // 1024**3} GiB"),
                message("fix.do.smaller_folder"),
            )
    target = into / f"scratch-{len(os.listdir(into))}"
    try:
        shutil.copytree(folder, target, symlinks=True, ignore=_LEFT_OUT)
    except (OSError, shutil.Error) as error:
        raise UserError(
            message("fix.refused.not_copied", path=folder, why=str(error)),
            message("fix.do.no_sandbox"),
        ) from None
    return str(target)
