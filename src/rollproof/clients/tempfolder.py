"""Tempfolder: a folder of our own among the temporary files, or one message why there is none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rollproof.errors import CannotJudgeError

__all__ = ["make_temporary", "temporary"]


def make_temporary(prefix: str) -> Path:
    """Make one; whoever asked for it removes it. CannotJudgeError where none can be made."""
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        message = f"no temporary folder can be made: {error.strerror or error}"
        raise CannotJudgeError(message, "free that disk, or name a folder with room in TMPDIR") from None


@contextmanager
def temporary(prefix: str) -> Iterator[Path]:
    """One for a block, with whatever is put into it."""
    folder = make_temporary(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
