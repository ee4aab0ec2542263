"""Secretvalues: the values of the Secrets that a target names: what is live, and what of it is to be looked for."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from rollproof.clients.kube import Kube
from rollproof.core.outside import Outside, parsed
from rollproof.core.target import SecretSettings
from rollproof.errors import InputError, OutsideDataError

__all__ = ["live_values", "secret_names", "wanted_values"]

_OF_A_LOGIN = ("password", "auth", "identitytoken")


def live_values(settings: SecretSettings, kube: Kube, namespace: str) -> dict[str, str]:
    """`Secret/key` → value, of every key of the Secrets that are named. InputError for one, or a key, that is missing.

    Whatever is read of a Secret is hidden in all output from then on (`rollproof.clients.credentials`).
    """
    found: dict[str, str] = {}
    for name in secret_names(settings):
        item = kube.find("Secret", namespace, name)
        if item is None:
            raise InputError(f"there is no Secret {name!r} in namespace {namespace!r}", "see secrets.names")
        for key, value in Outside.of(item, f"Secret {name}").table("data").items():
            found[f"{name}/{key}"] = _decoded(value)
    missing = next((one for one in settings.names if "/" in one and one not in found), "")
    if missing:
        name, _, key = missing.partition("/")
        raise InputError(f"Secret {name!r} has no key {key!r}", "see secrets.names")
    return found


def secret_names(settings: SecretSettings) -> tuple[str, ...]:
    """The Secrets that are read, each once."""
    return tuple(dict.fromkeys(one.partition("/")[0] for one in settings.names))


def wanted_values(settings: SecretSettings, live: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What is to be looked for, by its name: of the live values the named ones, and what the variables hold."""
    found = {
        part: text for name, value in live.items()
        if name in settings.names or name.partition("/")[0] in settings.names
        for part, text in _parts(name, value)
    }  # fmt: skip
    return found | {name: environ[name] for name in settings.values_env}


def _decoded(value: str) -> str:
    """What the base64 stands for; bytes that are no text stay as they are written."""
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return value


def _parts(name: str, value: str) -> Iterator[tuple[str, str]]:
    """The value; of a login to registries (dockerconfigjson) what is secret in it, which is never copied as a whole."""
    try:
        logins = Outside.of(parsed(value, name), name).child("auths")
        found = {
            f"{name}:{host}.{key}": text for host in logins.value for key, text in _of_login(logins.child(host))
        }  # fmt: skip
    except OutsideDataError:
        found = {}
    yield from found.items() if found else [(name, value)]


def _of_login(login: Outside) -> Iterator[tuple[str, str]]:
    """What is secret in it. `docker login` writes `auth` alone, in which the password is: user:password in Base64."""
    yield from ((key, text) for key in _OF_A_LOGIN if (text := login.text(key)))
    password = _decoded(login.text("auth")).partition(":")[2].strip("\0")
    if password and not login.has("password"):
        yield "password", password
