"""A target file written from what a cluster says, with a comment at each value that a person has to look at. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from rollproof.core.survey import Survey
from rollproof.errors import InputError

__all__ = ["Given", "draft"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the person said on the command line; empty: what the cluster says."""

    context: str
    kubeconfig: str = ""
    base_url: str = ""
    repo_url: str = ""
    env_file: str = ""


def draft(found: Survey, given: Given) -> str:
    """The text of a target file in TOML. It fences itself: `production` is true until a person has read it."""
    return "\n".join(_lines(found, given)) + "\n"


def _lines(found: Survey, given: Given) -> Iterator[str]:
    port = f":{found.entry_port}" if found.entry_port else ""
    base_url = given.base_url or f"{'https' if found.tls else 'http'}://{found.host or 'localhost'}{port}"
    load_host = _host(base_url) or "localhost"
    yield f"# Written by `rollproof init` from what context {_quoted(given.context)} says. Read it once; then"
    yield "# `rollproof doctor --target THIS_FILE`. Nothing secret goes in here: *_env are NAMES of variables."
    yield from (f"# To be looked at: {_one_line(note)}" for note in found.notes)
    yield from ("schema = 1", _set("name", found.application))
    yield from _optional("env_file", given.env_file, "KEY=VALUE lines for those variables; the environment wins")
    yield from _table("cluster", [
        _set("context", given.context),
        *_optional("kubeconfig", given.kubeconfig, "empty: KUBECONFIG, then ~/.kube/config"),
        _set("namespace", found.namespace), _set("deployment", found.deployment),
        _set("service", found.service or found.deployment),
        *([_set("container", found.container)] if found.container else []),
    ])  # fmt: skip
    yield from _table("argocd", [
        _set("application", found.application), _set("namespace", found.argocd_namespace),
        _set("project", found.project),
        '# profile = "read-only"  # if you may not patch the Application: then the poll or a webhook sets the pace',
    ])  # fmt: skip
    yield from _table("env_repo", [
        _set("url", given.repo_url or found.repo_url), _set("branch", found.branch), _set("overlay", found.overlay),
        _set("image", found.image) + "  # the `name:` under `images:` of the overlay, whose `newTag` is the release",
        *_credentials(given.repo_url or found.repo_url),
    ])  # fmt: skip
    yield from _table("app", [
        _set("base_url", base_url),
        *([_set("host", found.host)] if found.host not in ("", load_host) else []),
        _set("health_path", _health_path(found)) + "  # its answer must name the git sha that runs, at version_pointer",
        '# version_pointer = "/version"',
        _set("ready_path", found.ready_path or "/ready") + "  # its answer must name the database, at database_pointer",
        '# database_pointer = "/database"',
        f"pod_port = {found.port}",
        '# post_path = "/echo"            # a POST without side effects; without it there is no POST lane',
        '# slow_path = "/slow?ms=300"     # takes 200-500 ms; without it there is no slow lane',
    ])  # fmt: skip
    yield from _table("traffic", ["rate_per_s = 20.0  # begin low: it is real load"])
    yield from _table("release", [
        f"shas = {_list(found.tags)}  # candidates when --sha is not given: the first that is not running",
    ])  # fmt: skip
    if found.ingress_namespace:
        yield from _table("ingress", [
            _set("namespace", found.ingress_namespace), _set("selector", found.ingress_selector),
        ])  # fmt: skip
    yield from _table("fences", [
        f"namespaces = {_list([found.namespace])}  # nothing outside of these is ever changed",
        f"load_hosts = {_list([load_host])}",
        "production = true  # deploys and faults are refused; false when you are sure that this is not production",
    ])  # fmt: skip


def _host(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError as error:
        raise InputError(f"{base_url!r} is no URL: {error}", "say with --base-url how the app is reached") from None


def _credentials(url: str) -> Iterable[str]:
    if url.casefold().startswith(("http://", "https://")):
        return ['username_env = "GIT_USERNAME"', 'password_env = "GIT_PASSWORD"']
    return ["# no credentials: ssh finds its own key"]


def _health_path(found: Survey) -> str:
    """The liveness path, where it is not that of readiness: that one may ask the database."""
    return found.live_path if found.live_path not in ("", found.ready_path) else "/health"


def _table(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"[{name}]", *lines)


def _set(key: str, value: str) -> str:
    return f"{key} = {_quoted(value)}"


def _optional(key: str, value: str, words: str) -> Iterable[str]:
    return [_set(key, value) if value else f'# {key} = ""  # {words}']


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(value) for value in values)}]"


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own, but for DEL, and for pairs that stand for one sign."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
