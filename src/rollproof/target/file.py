"""Reads a target file: TOML in, a checked Target out, or one error that names every mistake in it.

All mistakes at once, each with its place (`traffic.rate_per_s`), so that one round of corrections is enough. Secrets
are read from the environment variables that the file names, and kept apart from the Target; no message and no plan may
ever contain the value of one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from rollproof.clients.inputfile import read_input
from rollproof.core.target import Target
from rollproof.errors import TargetFileError
from rollproof.redaction import SECRETS, Redactor, texts_of, unhideable
from rollproof.target.rules import Mistake, broken_rules

__all__ = ["LoadedTarget", "load", "secret_names", "secret_values"]

SCHEMA = 1
_PATHS = (  # fields that name a file on this machine
    ("", "env_file"), ("cluster", "kubeconfig"), ("argocd", "kubeconfig"), ("env_repo", "ca_file"),
    ("app", "ca_file"), ("app", "client_cert_file"), ("app", "client_key_file"), ("nodes", "socket"),
    ("posture", "scan_file"), ("secrets", "ci_log_file"), ("pipeline", "scan_file"),
)  # fmt: skip
_PLAIN_NAME = re.compile(r"(?=[A-Z0-9_]{1,64}$)(?:[A-Z]{1,16}|[A-Z]{1,16}[0-9]{0,3}(?:_[A-Z]{0,16}[0-9]{0,3})+)")
_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[\w.-]{20,}")  # some servers take a token as the user name
_DOTS_MAX = 2000  # in one key, and in one value: a list of hosts on one line has many
_EXPECTED = {
    "string_type": "a text in quotes", "float_type": "a number", "int_type": "a whole number",
    "int_from_float": "a whole number", "bool_type": "true or false", "tuple_type": "a list [...]",
    "dict_type": "a table", "dataclass_type": "a table", "dataclass_exact_type": "a table",
    "float_parsing": "a number", "int_parsing": "a whole number",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LoadedTarget:
    """A target and what belongs to it outside of the file.

    `environ` is the process environment updated with the target's env_file; clients look up secrets in it by name.
    """

    target: Target
    environ: Mapping[str, str]
    path: Path

    @classmethod
    def stored(cls, target: Target, environ: Mapping[str, str] | None = None) -> Self:
        """The target of a stored run: its secrets are read again, because no run folder contains one."""
        path = Path(f"target {target.name}")
        return cls(target, _with_secrets(path, target, dict(os.environ if environ is None else environ)), path)


def load(path: Path, environ: Mapping[str, str] | None = None) -> LoadedTarget:
    """Read, check and resolve. Raises TargetFileError with every mistake found."""
    environ = dict(os.environ if environ is None else environ)
    document = _read(path)
    mistakes = list(_unknown_keys(document, Target, ""))
    target = _typed(document, mistakes)
    if target is not None:
        target = _with_paths(target, path.resolve().parent, environ, mistakes)
        mistakes.extend(broken_rules(target))
    if target is None or mistakes:
        raise _error(path, mistakes)
    return LoadedTarget(target, _with_secrets(path, target, environ), path)


def _with_secrets(path: Path, target: Target, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the target's secrets; a line break at the end of one (from `cat`) is removed.

    They are registered for redaction here.
    """
    environ = {**_env_file(path, target.env_file), **environ}
    named = secret_names(target)
    environ |= {name: environ[name].strip("\r\n") for _, name in named if name in environ}
    missing = [Mistake(place, f"environment variable {_shown_name(name)} is not set") for place, name in named
               if not environ.get(name)]  # fmt: skip
    if missing:
        hint = f"set it, or put it into {target.env_file}" if target.env_file else "set it, or name an env_file"
        raise _error(path, missing, hint)
    users = _user_names(target)
    SECRETS.add(
        (environ[name] for _, name in named if name not in users or _TOKEN.fullmatch(environ[name])),
        pairs=[(environ[user], environ[password]) for user, password in _pairs(target)],
    )
    SECRETS.keep(target)
    unusable = [Mistake(place, f"the value of {_shown_name(name)} {why}") for place, name in named
                if (why := _unusable(target, place, environ[name], is_secret=name not in users))]  # fmt: skip
    if unusable:
        raise _error(path, unusable, "its value is not shown; change it where it comes from")
    return MappingProxyType(environ)


def _unusable(target: Target, place: str, value: str, *, is_secret: bool) -> str:
    """Why this value cannot be sent, or cannot be kept out of the run's files; "" if it can."""
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} for character in value):
        return "has a line break or another character that cannot be sent"
    if place.startswith(("app.headers_env", "pipeline.actions.token_env")) and not value.isascii():
        return "has a character that a header cannot carry: only ASCII can"
    if not is_secret:
        return ""
    if why := unhideable(value):
        return f"{why}; a secret must not be a word or number that a run has to write down"
    alone = Redactor([value])
    where = next((found for found, text in texts_of(target) if alone.holds(text)), "")
    return f"is also in {where}, which must be written down, so that it cannot be hidden" if where else ""


def _shown_name(name: str) -> str:
    """The name of a variable; if it may be the secret itself, in the wrong place, words that replace it."""
    return name if _PLAIN_NAME.fullmatch(name) else "that this field names (not shown: it may be the secret itself)"


def secret_names(target: Target) -> tuple[tuple[str, str], ...]:
    """(place in the file, environment variable) of every secret of the target."""
    app, repo = target.app, target.env_repo
    named = [("env_repo.username_env", repo.username_env), ("env_repo.password_env", repo.password_env)]
    named += [(f"app.headers_env.{header}", name) for header, name in app.headers_env.items()]
    named += [("app.basic_auth_env", name) for name in app.basic_auth_env]
    named += [("secrets.values_env", name) for name in target.secrets.values_env]
    registry = target.pipeline.registry
    named += [("pipeline.actions.token_env", target.pipeline.actions.token_env)]
    named += [("pipeline.registry.username_env", registry.username_env)]
    named += [("pipeline.registry.password_env", registry.password_env)]
    return tuple((place, name) for place, name in named if name)


def secret_values(loaded: LoadedTarget) -> tuple[str, ...]:
    """Values that no file of a run may contain. No user names: hiding the word "git" would hide the report."""
    users = _user_names(loaded.target)
    return tuple(loaded.environ[name] for _, name in secret_names(loaded.target) if name not in users)


def _user_names(target: Target) -> set[str]:
    return {target.env_repo.username_env, *target.app.basic_auth_env[:1], target.pipeline.registry.username_env}


def _pairs(target: Target) -> list[tuple[str, ...]]:
    """(user, password) of what is sent as basic auth, by the names of their variables."""
    pairs = [(target.env_repo.username_env, target.env_repo.password_env), target.app.basic_auth_env]
    return [pair for pair in pairs if len(pair) == 2 and all(pair)]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = read_input(path).decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except FileNotFoundError:
        raise TargetFileError(f"target file {path} does not exist", _nearby(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        hint = "name a target file with --target" if isinstance(error, OSError) else "save it as UTF-8 text"
        raise TargetFileError(f"target file {path} cannot be read: {reason}", hint) from None
    try:
        document = _document(text)
    except tomllib.TOMLDecodeError as error:
        raise TargetFileError(f"target file {path} is not TOML: {error}") from None
    except (ValueError, RecursionError):
        message = f"target file {path} holds a number or a nesting that no setting can have"
        raise TargetFileError(message, "targets/staging.example.toml shows the form") from None
    schema = document.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        message = f"target file {path} has schema {schema}; this rollproof knows schemas up to {SCHEMA}"
        raise TargetFileError(message, "upgrade rollproof")
    return document


def _document(text: str) -> dict[str, Any]:
    """TOML. ValueError or RecursionError for what it allows and nobody can work with."""
    if any(part.count(".") > _DOTS_MAX for line in text.splitlines() for part in line.split("=")):
        raise ValueError("a key of too many parts")  # tomllib takes memory by the square of them
    document = tomllib.loads(text)
    json.dumps(document, default=str)  # an integer of thousands of digits, tables in tables
    return document


def _nearby(path: Path) -> str:
    found = sorted(str(other) for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
    if found:
        return f"--target names it; there is {', '.join(found)}"
    return "--target names it, and `rollproof init --context NAME` writes one from what your cluster says"


def _unknown_keys(table: Mapping[str, Any], kind: type, place: str) -> Iterator[Mistake]:
    """A mistake for every unknown key, with the nearest known one (or the section that it belongs to)."""
    hints = _hints(kind)
    for key, value in table.items():
        where = f"{place}{key}"
        section = _section(hints.get(key))
        if key not in hints:
            yield Mistake(where, f"unknown key; {_nearest(key, list(hints), place)}")
        elif section is not None and isinstance(value, Mapping):
            yield from _unknown_keys(value, section, f"{where}.")


def _nearest(key: str, known: list[str], place: str) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {place}{near[0]}?"
    sections = {name: _section(hint) for name, hint in _hints(Target).items()}
    homes = [name for name, section in sections.items() if section and key in _hints(section)]
    if homes:
        return f"it belongs into [{homes[0]}]"
    return f"known here: {', '.join(sorted(known))}"


@cache  # a third of what reading a file took: each annotation is compiled anew
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _section(hint: object) -> type | None:
    """The dataclass of a field's type, if it is a table of the file."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return next((kind for kind in options if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None)


@cache  # making one takes longer than reading a file
def _shape() -> TypeAdapter[Target]:
    return TypeAdapter(Target)


def _typed(document: Mapping[str, Any], mistakes: list[Mistake]) -> Target | None:
    """The Target, or None with the mistakes added. Strict: "5" is no number and 1 is no true."""
    try:
        return _shape().validate_json(json.dumps(document, default=_not_ours), strict=True)
    except ValidationError as error:
        mistakes.extend(_mistake(detail, document) for detail in error.errors(include_url=False))
        return None


def _not_ours(value: object) -> object:
    return {"a date or time": str(value)}  # TOML has them and no field of ours does: the type check refuses this


def _mistake(detail: Any, document: Mapping[str, Any]) -> Mistake:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return Mistake(place, "missing, and it has no default")
    expected = _EXPECTED.get(detail["type"])
    if expected is None:
        return Mistake(place, str(detail["msg"]))
    parts = [str(part) for part in detail["loc"]]
    if named := next((number for number, part in enumerate(parts, start=1) if part.endswith("_env")), 0):
        where = ".".join(parts[:named])  # the rest of the place, and the value found, may be the secret itself
        return Mistake(where, f"{expected} was expected: the name of an environment variable, not a value")
    return Mistake(place, f"{expected} was expected, found {_shown(detail['loc'], document)}")


def _shown(loc: tuple[str | int, ...], document: Any) -> str:
    """The value as written in the file, if it is short."""
    found = document
    for part in loc:
        if not isinstance(found, dict | list):  # a date, which the type check has seen as a table (`_not_ours`)
            break
        found = found[part]  # type: ignore[index] # of a list pydantic gives the number, of a table the name
    if isinstance(found, dict | list):
        return "a table" if isinstance(found, dict) else "a list"
    text = json.dumps(found, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _with_paths(target: Target, folder: Path, environ: Mapping[str, str], mistakes: list[Mistake]) -> Target:
    """Paths made absolute: `~`, `$NAME` (XDG_STATE_HOME has its usual default), else relative to the target file."""
    known = {"XDG_STATE_HOME": "~/.local/state", **{name: value for name, value in environ.items() if value}}
    for section, name in _PATHS:
        owner: Any = getattr(target, section) if section else target
        value = getattr(owner, name)
        if not value:
            continue
        place = f"{section}.{name}".lstrip(".")
        unknown = [word for word in re.findall(r"\$\{?(\w+)", value) if word not in known]
        if unknown:
            mistakes.append(Mistake(place, f"environment variable {unknown[0]} is not set, and the path needs it"))
            continue
        value = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: known[match[1] or match[2]], value)
        try:
            absolute = str(folder / Path(value).expanduser())
        except RuntimeError:  # HOME is not set, and this user is not in the list of users
            mistakes.append(Mistake(place, "~ has no value here: set HOME, or write the whole path"))
            continue
        owner = dataclasses.replace(owner, **{name: absolute})
        target = dataclasses.replace(target, **{section: owner}) if section else owner
    return target


def _env_file(path: Path, name: str) -> dict[str, str]:
    """KEY=VALUE lines; `#` comments and empty lines are skipped, quotes around a value are removed."""
    if not name:
        return {}
    try:
        lines = read_input(Path(name)).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        hint = "create it with KEY=VALUE lines, or remove env_file and set the variables; "
        hint += "the lab's comes from `make lab`, the sandbox's from `make sandbox`"
        raise TargetFileError(f"{path}: env_file {name} cannot be read: {reason}", hint) from None
    found = {}
    for number, raw in enumerate(lines, start=1):
        line = raw.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator or not key.strip().isidentifier():
            raise TargetFileError(f"{name}: line {number} is not KEY=VALUE")  # the line may be a secret: not shown
        found[key.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    """The value without the quotes around it, if they match; a single one is part of the value."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _error(path: Path, mistakes: list[Mistake], hint: str = "") -> TargetFileError:
    lines = [f"{mistake.place}: {mistake.text}" for mistake in mistakes]
    count = f"{len(lines)} mistakes" if len(lines) > 1 else "1 mistake"
    return TargetFileError("\n  ".join([f"target file {path} has {count}:", *lines]), hint)
