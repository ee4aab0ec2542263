"""The templates of the pages: how values become text in them, and compiled ones that are kept as Python keeps its own.

Compiling takes longer than filling in: a third of a second of every `rollproof judge` before they were kept.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, BytecodeCache
from markupsafe import Markup

from rollproof.core.visible import visible
from rollproof.reports.sentences import short_sha
from rollproof.store.folderfiles import write_whole

__all__ = ["seconds", "templates"]

_FOLDER = Path(__file__).parent / "templates"


@cache
def templates() -> jinja2.Environment:
    """Created once. Every value is escaped, and a name that a template does not know is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=CompiledTemplates(_FOLDER / "__pycache__"),
    )
    environment.filters["sha"] = short_sha
    environment.filters["seconds"] = seconds
    environment.filters["number"] = _number
    return environment


class CompiledTemplates(BytecodeCache):
    """Compiled templates in a folder, where it can be written and `PYTHONDONTWRITEBYTECODE` is not set.

    What cannot be read or written is compiled anew and said nowhere, as Python does with its own `.pyc` files. Jinja
    asks for the sums of the source and for Python's version; its own version and the options above are in the name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made_by = sha256(jinja2.__version__.encode() + Path(__file__).read_bytes()).hexdigest()[:16]

    def load_bytecode(self, bucket: Bucket) -> None:
        """Into the bucket; it stays empty if there is nothing of use."""
        try:
            with self._path(bucket).open("rb") as stream:
                bucket.load_bytecode(stream)
        except Exception:  # noqa: BLE001 - pickle and marshal raise anything on a damaged file, and compiling is always possible
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """For the next process."""
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            write_whole(self._path(bucket), bucket.bytecode_to_string())

    def _path(self, bucket: Bucket) -> Path:
        return self._folder / f"{bucket.key[:16]}-{self._made_by}.{sys.implementation.cache_tag}.jinja"


def seconds(value_s: float | None) -> str:
    """A duration for a reader; `-` for none."""
    if value_s is None:
        return "-"
    if value_s >= 120:
        return f"{int(value_s // 60)} min {value_s % 60:.0f} s"
    return f"{value_s:.2f} s" if value_s < 10 else f"{value_s:.1f} s"


def _shown(value: object) -> object:
    """Text from outside must not change the reading direction of the page, nor contain characters that HTML forbids."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _number(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
