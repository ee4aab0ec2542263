"""Canaries: planted secrets, the forms in which somebody may echo them, and a search through all that a run left."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np

__all__ = ["FORMS", "echoes", "found_in", "texts_below"]


def lower_percent(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe=""))


def every_percent(text: str) -> str:
    return "".join(f"%{octet:02X}" for octet in text.encode())


def every_unit(text: str) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))


def basic(text: str, user: str = "shop") -> str:
    return base64.b64encode(f"{user}:{text}".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, path": quote,
    "percent, other safe set": lambda text: quote(text, safe="/:@!$&'()*+,;=~"),
    "percent, lower": lower_percent,
    "percent, everything": every_percent,
    "percent, plus": quote_plus,
    "percent, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, no padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64, url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64, url, no padding": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "basic auth": basic,
    "basic auth, unknown user": lambda text: basic(text, "ab"),
    "basic auth, other unknown user": lambda text: basic(text, "abcd"),
    "basic auth, no padding": lambda text: basic(text).rstrip("="),
    "json": lambda text: json.dumps(text)[1:-1],
    "json, utf-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json, slash": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json, units": every_unit,
    "json in json": lambda text: json.dumps(json.dumps({"a": text})),
    "json in json in json": lambda text: json.dumps(json.dumps({"a": json.dumps([text])})),
    "html": html.escape,
    "html, numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "html, hex numbers": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "html of json": lambda text: html.escape(json.dumps({"a": text})),
    "hex": lambda text: text.encode().hex(),
    "hex, upper": lambda text: text.encode().hex().upper(),
    "hex, colons": lambda text: text.encode().hex(":"),
    "repr": lambda text: repr(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "repr of repr": lambda text: repr(repr(text)),
    "repr of bytes of json": lambda text: repr(json.dumps({"a": text}).encode()),
    "shell": shlex.quote,
    "shell, backslashes": lambda text: re.sub(r"([^\w-])", r"\\\1", text),
    "shell, single quotes": lambda text: "'" + text.replace("'", "'\\''") + "'",
    "git's quoted path": lambda text: "".join(
        letter if letter.isascii() else "".join(f"\\{octet:03o}" for octet in letter.encode()) for letter in text
    ),
    "a header's bytes": lambda text: text.encode().decode("latin-1"),
    "yaml": lambda text: text.replace("'", "''"),
    "json in a url": lambda text: quote(json.dumps({"token": text}), safe=""),
    "a url in json in html": lambda text: html.escape(json.dumps(f"https://h/?t={quote(text, safe='')}")),
}  # fmt: skip


def echoes(secret: str) -> Iterator[str]:
    """What somebody who was told the secret may say: in each form, and cut at either end or in the middle."""
    for written in {form(secret) for form in FORMS.values()}:
        yield f'it said: {{"authorization": "{written}"}} to us'
    for kept in (8, len(secret) // 2 + 4, len(secret) - 1):
        yield from (f"{'x' * 40}{secret[:kept]}", f"{secret[-kept:]} was the rest", f"b'{secret[:kept]}'...")
    yield f"Basic {basic(secret)}"[:-4]


def found_in(texts: Iterable[tuple[str, str]], secrets: Iterable[str]) -> list[str]:
    """Where a secret is, in any form, or its first or last 8 characters."""
    forms = {
        secret: {
            secret[:8],
            secret[-8:],
            *(written(secret) for name, written in FORMS.items() if "json in" not in name),
        }
        for secret in secrets
    }
    return [
        f"{where}: ...{text[max(0, text.find(form) - 60) : text.find(form) + len(form)]}"
        for where, text in texts
        for found in forms.values()
        for form in found
        if form in text
    ]


def texts_below(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, content) of every file below a folder; of a request log, its tables."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        yield f"the name of {path}", str(path.relative_to(folder))
        yield str(path), path.read_bytes().decode(errors="replace")
        if zipfile.is_zipfile(path):
            with np.load(path, allow_pickle=False) as packed:
                yield f"{path}, meta", str(packed["meta"])
