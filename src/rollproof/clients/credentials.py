"""What a cluster's clients learn that nobody may print: a kubeconfig's tokens and keys, a plugin's answer, Secrets.

It only tells the register of secrets. It must never raise: a file that cannot be read is somebody else's message.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rollproof.clients.inputfile import KUBECONFIG_MAX, check_regular, read_input
from rollproof.redaction import SECRETS

__all__ = ["learn_configuration", "learn_kubeconfig", "learn_objects"]

_FIELD = re.compile(
    r"""["']?\b(?:token|password|client-key-data|id-token|refresh-token|access-token|client-secret)["']?\s*:\s*"""
    r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s"',}\]#][^\s,}\]]*))"""
)
_VARIABLE = re.compile(  # of an exec plugin: a name that says so, and the value beside it
    r"""["']?\bname["']?\s*:\s*["']?\w*(?:TOKEN|SECRET|PASSWORD|KEY)\w*["']?\s*,?\s*["']?value["']?\s*:\s*["']?([^\s"',}\]]+)""",
    re.IGNORECASE,
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)-----END", re.DOTALL)


def learn_kubeconfig(named: str) -> None:
    """Every secret in the kubeconfig, also in one that is none; `named` is empty for the usual places."""
    paths = [named] if named else (os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)
    SECRETS.add(value for path in paths for value in _in_kubeconfig(_text(path)))


def learn_configuration(configuration: Any) -> None:
    """What the client will send: the token (a plugin's answer, or read from a file) and the key; and it can be sent.

    A token file usually ends with a line break, which no header may hold.
    """
    keys = {name: str(value).strip() for name, value in (configuration.api_key or {}).items()}
    configuration.api_key = keys
    SECRETS.add(value.rpartition(" ")[2] for value in keys.values())
    SECRETS.add(_of_key(_text(str(configuration.key_file))) if configuration.key_file else ())


def learn_objects(answer: Mapping[str, Any]) -> None:
    """The values of each Secret in an answer of the API."""
    kind = str(answer.get("kind", ""))
    if kind.startswith("Secret"):
        items = answer.get("items")
        found = items if isinstance(items, list) else [answer]
        SECRETS.add(value for item in found if isinstance(item, Mapping) for value in _in_secret(item))


def _in_secret(item: Mapping[str, Any]) -> Iterator[str]:
    for field in ("data", "stringData"):
        values = item.get(field)
        for value in values.values() if isinstance(values, Mapping) else ():
            yield str(value)
            yield from _decoded(str(value))


def _in_kubeconfig(text: str) -> Iterator[str]:
    for match in _FIELD.finditer(text):
        value = next(found for found in match.groups() if found is not None)
        yield value
        yield from (piece for decoded in _decoded(value) for piece in _of_key(decoded))
    yield from _VARIABLE.findall(text)


def _of_key(text: str) -> Iterator[str]:
    """A private key without its first and last line, which are everybody's."""
    yield from (match.strip() for match in _PEM.findall(text))


def _decoded(value: str) -> Iterator[str]:
    try:
        yield base64.b64decode(value, validate=True).decode()
    except ValueError:
        return


def _text(path: str) -> str:
    try:
        file = Path(path).expanduser()
        check_regular(file, size_max=KUBECONFIG_MAX)  # a pipe can be read once, and is not ours
        return read_input(file, size_max=KUBECONFIG_MAX).decode(errors="replace")
    except (OSError, RuntimeError, ValueError):  # RuntimeError: nobody knows where ~ is
        return ""
