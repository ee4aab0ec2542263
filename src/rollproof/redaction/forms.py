"""The forms of a secret in texts: its encodings, and the decoding of escaped texts.

Encodings that mix with their surroundings (percent, backslashes of JSON, Python and shells, HTML) are removed from the
text, layer by layer; those that change every character (base64, hex) are applied to the secret. Pure.
"""

from __future__ import annotations

import base64
import html
import re
import shlex
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote_plus

__all__ = ["Layer", "encoded_forms", "layers_below", "pair_forms"]

# Each pattern begins with the character that it looks for: only then does `re` skip plain text without trying each
# alternative at each place, which is most of the time that a page of a report takes.
_PERCENT = r"(?P<percent>(?<=%)[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*)"
_BACKSLASH = (
    r"(?<=\\)(?:(?P<bytes>x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2})*|[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*)"
    r"|(?P<unit>u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*)"
    r"|U(?P<wide>[0-9A-Fa-f]{8})"
    r"|u\{(?P<braced>[0-9A-Fa-f]{1,6})\}"
    r"|(?P<sign>[^A-Za-z0-9]|[abfnrtv]))"
)
_ENTITY = r"(?P<entity>(?<=&)(?:#[0-9]{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z][A-Za-z0-9]{1,30};|amp|lt|gt|quot))"
_KINDS = {
    "%": re.compile(f"%{_PERCENT}"),
    "\\": re.compile(rf"\\{_BACKSLASH}", re.DOTALL),
    "&": re.compile(f"&{_ENTITY}"),
}
_ALL = re.compile(rf"[%\\&](?:{_PERCENT}|{_BACKSLASH}|{_ENTITY})", re.DOTALL)
_SIGNS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A text with one layer of escapes removed, and the position of each of its characters in the text above it.

    It consists of pieces, which begin at `offsets`: runs of plain text, and the replacement of one escape each.
    """

    text: str
    offsets: tuple[int, ...]
    origins: tuple[tuple[int, int], ...]  # where each piece begins in the text above, and its length there; 0: plain

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Begin and end, in the text above, of what became `text[begin:end]`."""
        first, last = (bisect_right(self.offsets, offset) - 1 for offset in (begin, end - 1))
        start, length = self.origins[first]
        above = start if length else start + begin - self.offsets[first]
        start, length = self.origins[last]
        return above, start + length if length else start + end - self.offsets[last]


def layers_below(text: str) -> Iterator[Layer]:
    """The text with one layer of escapes removed: all kinds at once, and each kind that occurs by itself.

    By itself, since a secret may contain a character that begins one: in `\\&quot;` only one of the two is an escape.
    """
    there = [kind for kind in _KINDS if kind in text]
    for escape in ([_ALL] if there else []) + ([_KINDS[kind] for kind in there] if len(there) > 1 else []):
        layer = _unescaped(text, escape)
        if layer is not None:
            yield layer


def _unescaped(text: str, escape: re.Pattern[str]) -> Layer | None:
    parts: list[str] = []
    offsets: list[int] = []
    origins: list[tuple[int, int]] = []
    length = at = 0
    for match in escape.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
            offsets.append(length)
            origins.append((at, 0))
            length += match.start() - at
        place = match.start()
        for piece, size in _pieces(match):
            parts.append(piece)
            offsets.append(length)
            origins.append((place, size))
            length += len(piece)
            place += size
        at = match.end()
    if not parts:
        return None
    parts.append(text[at:])
    offsets.append(length)
    origins.append((at, 0))
    return Layer("".join(parts), tuple(offsets), tuple(origins))


def _pieces(match: re.Match[str]) -> Iterable[tuple[str, int]]:
    """Each character of an escape (or of a run of them), with the length of its escaped form."""
    text, kind = match[0], match.lastgroup
    if kind == "entity":
        return _entity(text)
    if kind == "sign":
        return ((_SIGNS.get(text[1], text[1]), 2),)
    if kind == "percent":
        return _characters(bytes.fromhex(text.replace("%", "")), 3)
    if kind == "bytes":
        octets = bytes.fromhex(text.replace("\\x", "")) if text[1] == "x" else bytes(
            int(octet, 8) & 255 for octet in text.split("\\")[1:]
        )  # fmt: skip
        return _characters(octets, 4)
    if kind == "unit":
        units = bytes.fromhex(text.replace("\\u", "")).decode("utf-16-be", "surrogatepass")
        return [(character, 12 if ord(character) > 0xFFFF else 6) for character in units]
    number = int(match[kind or 0], 16)  # `wide` or `braced`
    return ((chr(number) if number <= 0x10FFFF else text, len(text)),)


@lru_cache(maxsize=1024)  # a page holds thousands, of a few kinds
def _entity(text: str) -> tuple[tuple[str, int], ...]:
    character = html.unescape(text)
    return ((character, len(text)),) if character != text else tuple((letter, 1) for letter in text)


def _characters(octets: bytes, size: int) -> Iterator[tuple[str, int]]:
    """Decoded as UTF-8, else as Latin-1: Python's repr of a text writes \\xf6, of bytes \\xc3\\xb6."""
    try:
        for character in octets.decode():
            yield character, size * len(character.encode())
    except UnicodeDecodeError:
        for character in octets.decode("latin-1"):
            yield character, size


def encoded_forms(value: str) -> Iterator[str]:
    """The encodings of the value in which every character changes, and the few spellings that `layers_below` misses."""
    octets = _octets(value)
    yield value
    yield from (unicodedata.normalize(form, value) for form in ("NFC", "NFD"))
    yield octets.decode("latin-1")  # the bytes of a header, decoded as HTTP libraries decode headers
    yield value.replace(" ", "+")
    yield quote_plus(octets).replace("%2B", "+")
    for doubled in ("'", '"'):
        yield value.replace(doubled, doubled * 2)
    quoted = shlex.quote(value)
    yield quoted[1:-1] if quoted != value else value
    yield value.replace("'", "'''")  # the shell's '\'' after its backslash was removed
    for joint in ("", ":", " ", "-"):
        pairs = joint.join(f"{octet:02x}" for octet in octets)
        yield from (pairs, pairs.upper())
    yield from _base64(octets)


def pair_forms(user: str, password: str) -> Iterator[str]:
    """The forms of a user and a password in basic auth."""
    yield from _base64(_octets(f"{user}:{password}"))


def _octets(text: str) -> bytes:
    """What is sent. Of bytes in the environment that are no UTF-8 Python makes halves of characters: those again."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")


def _base64(octets: bytes) -> Iterator[str]:
    """In both alphabets, with and without padding; and the part that remains of it inside of a longer text."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(octets).decode()
        yield whole
        yield whole.rstrip("=")
        for shift, first in (
            (0, 0),
            (1, 2),
            (2, 3),
        ):  # characters that also encode bits of the neighbouring bytes are left out
            shifted = encode(bytes(shift) + octets).decode()
            yield shifted[first : (shift + len(octets)) * 8 // 6]
