"""Text from outside made visible: what a terminal would obey, or no eye can see, is written out."""

from __future__ import annotations

import re

__all__ = ["printable", "visible"]

# Controls (C0 but tab and line feed, DEL, C1), signs that turn the reading direction or have no width, line ends of
# Unicode, lone surrogates, tags, and what XML 1.0 has no way to write.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with every control and direction sign written out (`\\x1b`, `\\u202e`); line feeds and tabs stay."""
    return _HIDDEN.sub(_written_out, text)


def printable(text: str, *, length_max: int = 600) -> str:
    """The text on one line of printable characters: all others are written out, line feeds too. Longer text is cut."""
    plain = text.isprintable()  # nearly every text is
    shown = text if plain else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return shown if len(shown) <= length_max else f"{shown[:length_max]}..."


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
