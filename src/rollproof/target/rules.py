"""Rules of a target file beyond types: those declared beside the fields, URLs, names, and that its parts agree.

Pure: a Target in, the broken rules out. It must not look at the machine, so that a file is valid or not everywhere.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints
from urllib.parse import SplitResult, parse_qsl, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from rollproof.clients.proxies import is_loopback
from rollproof.core.declared import Distinct, Needed, OneOf, Pointer, Range, Rule, UrlPath
from rollproof.core.hours import parsed_hours
from rollproof.core.pipelinewords import BEFORE
from rollproof.core.target import ActionsSettings, Database, EnvRepo, Fences, Target
from rollproof.core.trials import TRIALS

__all__ = ["Mistake", "broken_rules", "sha_mistake"]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: its place in the file, and what is wrong, in words."""

    place: str
    text: str


_SHA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # the characters of an image tag (OCI distribution spec)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLES_INSTEAD = "leave it out, and name environment variables in env_repo.username_env and password_env"
_NO_BRANCH = re.compile(r"^-|[\s~^:?*\[\\]|\.\.|@\{|//|^/|/$|\.lock$|\.$")  # git-check-ref-format(1)
_ACCOUNT = re.compile(r"[A-Za-z0-9_.%:/-]{1,255}")  # needs no quoting inside of '' in SQL, nor in a shell
_LONGEST_USER = 32  # of a login name of ssh
_TELLING = re.compile(r"(?i)token|secret|passw|pwd|api-?_?key|access-?_?key|credential|signature|^(sig|auth|key|code)$")
_SECRET = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/[A-Za-z0-9._-]{1,253})?")  # Kubernetes' names
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")  # of GitHub
_WORKFLOW = re.compile(r"[^/]+\.ya?ml")  # its file in .github/workflows
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110 section 5.6.2
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")  # what a Host header can be
_LABEL = re.compile(
    r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?"
)
_REPO_SCHEMES = ("http", "https", "ssh", "file", "git")


def broken_rules(target: Target, *, stored: bool = False) -> Iterator[Mistake]:
    """Every rule that the target breaks, those declared beside the fields first (`core.target`).

    stored: of a run, which is judged although a list of its target may name one thing twice, as it once could.
    """
    places = set()
    repeated = () if stored else (_repeated,)
    for rules in (_declared, *repeated, _trials, _urls, _names, _pipeline, _fences, _pairs):
        for mistake in rules(target):
            places.add(mistake.place)
            yield mistake
    yield from (mistake for mistake in _unprintable(target, "") if mistake.place not in places)


def sha_mistake(sha: str) -> str:
    """Why this cannot be released as a sha; "" if it can. The same rule for the file and the command line."""
    if not _SHA.fullmatch(sha):
        return f"{sha!r} cannot be an image tag"
    return "'latest' names no version; give the git sha that the image was built from" if sha == "latest" else ""


def _declared(target: Target) -> Iterator[Mistake]:
    """Rules that are declared beside the fields: of the target, of each section, and of the tables in it."""
    for place, value, rule in _ruled(target, ""):
        yield from _broken(place, value, rule)


def _repeated(target: Target) -> Iterator[Mistake]:
    """Lists that name one thing twice. By its place in the list: it may be a secret that stands in the wrong line."""
    for place, value, rule in _ruled(target, ""):
        if isinstance(rule, Distinct):
            twice = [number for number, one in enumerate(value) if one in value[:number]]
            for number in twice:
                first = value.index(value[number])
                yield Mistake(place, f"entries {first + 1} and {number + 1} are the same; name each once")


def _ruled(owner: Any, place: str) -> Iterator[tuple[str, Any, Rule]]:
    """Place, value and rule of each field that has a rule."""
    for name, rule in _rules_of(owner.__class__):
        yield f"{place}{name}", getattr(owner, name), rule
    for field in fields(owner):
        if is_dataclass(part := getattr(owner, field.name)):
            yield from _ruled(part, f"{place}{field.name}.")


def _unprintable(owner: Any, place: str) -> Iterator[Mistake]:
    """Texts become arguments, paths, names and lines of a report: in none may there be what nobody sees."""
    for field in fields(owner):
        value, where = getattr(owner, field.name), f"{place}{field.name}"
        if is_dataclass(value):
            yield from _unprintable(value, f"{where}.")
        elif not all(text.isprintable() for text in _texts(value)):
            yield Mistake(where, "has a line break or another character that cannot be printed")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        yield from (text for one in value for text in _texts(one))
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for text in _texts(pair))


@cache
def _rules_of(owner: type) -> tuple[tuple[str, Rule], ...]:
    hints = get_type_hints(owner, include_extras=True)
    return tuple(
        (name, rule) for name, hint in hints.items() for rule in getattr(hint, "__metadata__", ())
        if isinstance(rule, Rule)
    )  # fmt: skip


def _broken(place: str, value: Any, rule: Rule) -> Iterator[Mistake]:
    match rule:
        case Needed():
            if not value.strip():
                yield Mistake(place, "must not be empty")
        case OneOf(words):
            if value not in words:
                yield Mistake(place, _not_a_word(value, words))
        case Range():
            each = (
                {f"{place}.{name}": one for name, one in value.items()}
                if isinstance(value, Mapping)
                else {place: value}
            )
            for where, number in each.items():
                yield from _outside(where, number, rule)
        case UrlPath():
            yield from _bad_path(place, value)
        case Pointer():
            if value and not value.startswith("/"):
                yield Mistake(place, f"a JSON pointer starts with '/' (RFC 6901), found {value!r}")


def _bad_path(place: str, value: str) -> Iterator[Mistake]:
    if value and not value.startswith("/"):
        yield Mistake(place, f"a path starts with '/', found {_shown(value)}")
    if any(letter.isspace() or not letter.isprintable() for letter in value):
        yield Mistake(place, "has a space or a control character; write it as %20 and so on")
    elif not value.isascii():  # the load would send its bytes, and the proofs UTF-8 with percent signs
        yield Mistake(place, "has a letter that is not ASCII; write it as %C3%A9 and so on")
    if any(_TELLING.search(key) for key, _ in parse_qsl(value.partition("?")[2], keep_blank_values=True)):
        yield Mistake(place, "has a credential in its query; send it as a header (app.headers_env)")


def _trials(target: Target) -> Iterator[Mistake]:
    for trial in target.drift.trials:
        if trial not in TRIALS:
            yield Mistake("drift.trials", _not_a_word(trial, tuple(TRIALS)))
        elif (flag := TRIALS[trial].flag) and not getattr(target.drift, flag):
            lasts = "what it deletes is gone for users until self-heal has created it again"
            yield Mistake("drift.trials", f"{trial!r} needs drift.{flag} = true: {lasts}")


def _pipeline(target: Target) -> Iterator[Mistake]:
    for leg in target.pipeline.limits_s:
        if leg not in {*BEFORE}:
            yield Mistake("pipeline.limits_s", _not_a_word(leg, tuple(map(str, BEFORE))))
    if target.pipeline.scan_severity_max and not target.pipeline.scan_file:
        yield Mistake(
            "pipeline.scan_severity_max", "holds for the report that pipeline.scan_file names, which is not set"
        )
    yield from _actions(target.pipeline.actions)
    registry = target.pipeline.registry
    if registry.url and (reason := _bad_url(registry.url, "pipeline.registry.username_env and password_env")):
        yield Mistake("pipeline.registry.url", reason)
    if bool(registry.username_env) != bool(registry.password_env):
        yield Mistake("pipeline.registry.username_env", "username_env and password_env go together")
    if registry.pull_secret and registry.password_env:
        yield Mistake("pipeline.registry.pull_secret", "either pull_secret, or username_env and password_env")
    if registry.pull_secret and (
        "/" in registry.pull_secret or not _SECRET.fullmatch(registry.pull_secret)
    ):  # may be a value: never shown
        yield Mistake("pipeline.registry.pull_secret", "must be the name of a Secret")


def _actions(actions: ActionsSettings) -> Iterator[Mistake]:
    if actions.repository and not _REPOSITORY.fullmatch(actions.repository):
        yield Mistake("pipeline.actions.repository", f'must be "owner/name", found {_shown(actions.repository)}')
    if actions.workflow and not _WORKFLOW.fullmatch(actions.workflow):
        said = f'must be the workflow\'s file without its folder, "deploy.yml", found {_shown(actions.workflow)}'
        yield Mistake("pipeline.actions.workflow", said)
    if not actions.api_url:
        return
    if reason := _bad_url(actions.api_url, "pipeline.actions.token_env"):
        yield Mistake("pipeline.actions.api_url", reason)
    elif actions.token_env and not _is_private(actions.api_url):
        yield Mistake("pipeline.actions.api_url", "must be https:// where a token is sent (pipeline.actions.token_env)")


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _not_a_word(said: str, words: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(said, words, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    return f"{said!r} is none of {', '.join(repr(word) for word in words)}{guess}"


def _outside(place: str, value: float | None, rule: Range) -> Iterator[Mistake]:
    if value is None:  # a rule that is turned off
        return
    high_enough = value >= rule.low if rule.low_allowed else value > rule.low
    if not (math.isfinite(value) and high_enough and value <= rule.high):
        begin = f"at least {rule.low:g}" if rule.low_allowed else f"above {rule.low:g}"
        yield Mistake(place, f"must be {begin} and at most {rule.high:g}, found {value:g}")


def _urls(target: Target) -> Iterator[Mistake]:
    asked = [("app.base_url", target.app.base_url)]
    if target.control is not None:
        asked.append(("control.url", target.control.url))
        asked.append(("control.off_entry_url", target.control.off_entry_url))
    for place, url in asked:
        if (reason := _bad_url(url)) and url.strip():
            yield Mistake(place, reason)
    hosts = {"app.host": target.app.host}
    if target.control is not None:
        hosts |= {"control.host": target.control.host, "control.off_entry_host": target.control.off_entry_host}
    for place, host in hosts.items():
        if not host.isascii():
            yield Mistake(place, _NOT_ASCII)
        elif host and not _HOST.fullmatch(host):
            yield Mistake(
                place, f"must be a host, with its port if need be, and no http:// or path, found {_shown(host)}"
            )
    yield from _repo_url(target.env_repo.url)


def _repo_url(url: str) -> Iterator[Mistake]:
    """A URL appears in arguments, messages and the plan: what may be a credential in it is refused and not shown."""
    place = "env_repo.url"
    scp_like = re.fullmatch(r"(\w[\w.-]*)@\w[\w.-]*:[^-].*", url)
    parts = _split(url)
    if not url.strip():
        return
    if not scp_like and (parts is None or not url.startswith(tuple(f"{scheme}://" for scheme in _REPO_SCHEMES))):
        schemes = ", ".join(_REPO_SCHEMES)
        yield Mistake(place, f"must be a git URL ({schemes} or git@host:path), found {_shown(url)}")
    if scp_like or parts is None:
        user = scp_like[1] if scp_like else ""
    else:
        user = parts.username or ""
        if parts.password:
            yield Mistake(place, "holds a password; name an environment variable in env_repo.password_env instead")
        if parts.query or parts.fragment:
            yield Mistake(place, f"has a query or a fragment, which may hold a credential; {_VARIABLES_INSTEAD}")
    over_http = parts is not None and parts.scheme in {"http", "https"}
    if user and (over_http or len(user) > _LONGEST_USER) and not (parts and parts.password):
        yield Mistake(place, f"holds a user name, which may be a token; {_VARIABLES_INSTEAD}")


_NOT_ASCII = "has a letter that is not ASCII; write a host as xn--... (Punycode), and a path as %C3%A9 and so on"


def _bad_url(url: str, instead: str = "app.basic_auth_env") -> str:
    parts = _split(url)
    if parts is not None and (parts.username or parts.password):
        return f"holds credentials; name environment variables in {instead} instead"
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        return f"must be an http:// or https:// URL with a host, found {_shown(url)}"
    if not url.isascii():
        return _NOT_ASCII
    return "has a query or a fragment; give the address only" if parts.query or parts.fragment else ""


def _shown(text: str) -> str:
    """The text in quotes, unless it has a character that marks a credential in a URL."""
    return "one that may hold a credential (not shown)" if re.search("[@?#]", text) else repr(text)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if the port is invalid
    except ValueError:
        return None
    return parts


def _names(target: Target) -> Iterator[Mistake]:
    for sha in target.release.shas:
        if text := sha_mistake(sha):
            yield Mistake("release.shas", text)
    for kind, sha in target.release.bad.named.items():
        if text := sha_mistake(sha):
            yield Mistake(f"release.bad.{kind}", text)
    for name in target.secrets.names:
        if not _SECRET.fullmatch(name):  # may be a value: never shown
            yield Mistake("secrets.names", 'must be names of Secrets, "name" or "name/key"')
    for place in ("version_header", "served_by_header"):
        if (header := getattr(target.app, place)) and not _HEADER.fullmatch(header):
            yield Mistake(f"app.{place}", f"must be the name of a header, found {_shown(header)}")
    yield from _variables(target)
    yield from _repo_names(target.env_repo)
    if target.faults.database is not None:
        yield from _database_names(target.faults.database)
    if target.env_repo.overlay.startswith("/") or ".." in target.env_repo.overlay.split("/"):
        yield Mistake("env_repo.overlay", f"must be a path inside the repository, found {target.env_repo.overlay!r}")


def _repo_names(repo: EnvRepo) -> Iterator[Mistake]:
    """Values that become arguments of git."""
    if repo.branch.startswith("refs/"):
        yield Mistake("env_repo.branch", f"must be the branch's own name, without refs/heads/, found {repo.branch!r}")
    elif _NO_BRANCH.search(repo.branch):
        yield Mistake("env_repo.branch", f"cannot be a branch of git, found {repo.branch!r}")


def _database_names(database: Database) -> Iterator[Mistake]:
    """Values that become part of an SQL statement, and of a command in the database's container."""
    for name in ("admin", "account", "account_host"):
        if (value := getattr(database, name)) and not _ACCOUNT.fullmatch(value):
            text = f"may have letters, digits and _ . % : / - only, found {_shown(value)}"
            yield Mistake(f"faults.database.{name}", text)
    if (variable := database.admin_password_variable) and not _VARIABLE.fullmatch(variable):  # never shown, as below
        yield Mistake(
            "faults.database.admin_password_variable", "must be the name of a variable of the container, not a value"
        )


def _variables(target: Target) -> Iterator[Mistake]:
    app = target.app
    variables = [("env_repo.username_env", target.env_repo.username_env)]
    variables += [("env_repo.password_env", target.env_repo.password_env)]
    for header in app.headers_env:
        if not _HEADER.fullmatch(header):  # the value itself may be there: never shown
            yield Mistake("app.headers_env", "a key must be the name of a header, its value that of a variable")
    variables += [
        (f"app.headers_env.{header}", name) for header, name in app.headers_env.items() if _HEADER.fullmatch(header)
    ]
    variables += [("app.basic_auth_env", name) for name in app.basic_auth_env]
    variables += [("secrets.values_env", name) for name in target.secrets.values_env]
    registry = target.pipeline.registry
    variables += [("pipeline.actions.token_env", target.pipeline.actions.token_env)]
    variables += [("pipeline.registry.username_env", registry.username_env)]
    variables += [("pipeline.registry.password_env", registry.password_env)]
    for place, name in variables:
        if name and not _VARIABLE.fullmatch(name):  # probably the secret itself: never shown
            yield Mistake(place, "must be the name of an environment variable, not a value")


def _fences(target: Target) -> Iterator[Mistake]:
    fences = target.fences
    if not fences.namespaces:
        yield Mistake("fences.namespaces", "must name at least the app's namespace")
    if fences.namespaces and target.cluster.namespace not in fences.namespaces:
        allowed = ", ".join(fences.namespaces)
        yield Mistake("cluster.namespace", f"{target.cluster.namespace!r} is outside of fences.namespaces ({allowed})")
    asked = [("app.base_url", target.app.base_url)]
    if target.control is not None:
        asked.append(("control.url", target.control.url))
        asked.append(("control.off_entry_url", target.control.off_entry_url))
    for place, url in asked:
        parts = _split(url)
        if parts is not None and parts.hostname and parts.hostname not in fences.load_hosts:
            allowed = ", ".join(fences.load_hosts)
            yield Mistake(place, f"host {parts.hostname!r} is outside of fences.load_hosts ({allowed})")
    yield from _hours(fences)
    if fences.opt_in_label and not _LABEL.fullmatch(fences.opt_in_label):
        text = f'must be a label with its value, "rollproof/allowed=true", found {fences.opt_in_label!r}'
        yield Mistake("fences.opt_in_label", text)
    if target.traffic.rate_per_s > fences.rate_per_s_max:
        rate, limit = target.traffic.rate_per_s, fences.rate_per_s_max
        yield Mistake("traffic.rate_per_s", f"{rate:g} is above fences.rate_per_s_max ({limit:g})")


def _hours(fences: Fences) -> Iterator[Mistake]:
    """The zone's name is looked up in the tz database that this machine has, or else in that of the package tzdata."""
    try:
        windows = parsed_hours(fences.hours)
    except ValueError as error:
        yield Mistake("fences.hours", str(error))
        windows = ()
    if windows and not fences.timezone:
        yield Mistake("fences.timezone", 'must say whose clock fences.hours are on, by its IANA name: "Europe/Berlin"')
    if fences.timezone:
        try:
            ZoneInfo(fences.timezone)
        except (ValueError, OSError, LookupError):
            near = difflib.get_close_matches(fences.timezone, available_timezones(), n=1, cutoff=0.5)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            yield Mistake("fences.timezone", f"{fences.timezone!r} is no time zone{guess}")


def _pairs(target: Target) -> Iterator[Mistake]:
    app = target.app
    if len(app.basic_auth_env) not in {0, 2}:
        yield Mistake("app.basic_auth_env", "must name two variables: user and password")
    if bool(app.client_cert_file) != bool(app.client_key_file):
        yield Mistake("app.client_cert_file", "client_cert_file and client_key_file go together")
    if target.argocd.kubeconfig and not target.argocd.context:
        yield Mistake("argocd.context", "must name the context of argocd.kubeconfig: its current one is never used")
    if bool(target.ingress.namespace) != bool(target.ingress.selector):
        yield Mistake(
            "ingress.selector", "namespace and selector go together; leave both out if the log cannot be read"
        )
    if bool(target.jobs.settled_pointer) != bool(target.jobs.booked_pointer):
        yield Mistake("jobs.settled_pointer", "settled_pointer and booked_pointer go together")
    traffic = target.traffic
    if traffic.outages_max is not None and not traffic.downtime_budget_ms:
        yield Mistake(
            "traffic.outages_max", "needs traffic.downtime_budget_ms above 0: without a budget no outage is allowed"
        )
    patience_ms = traffic.timeout_s * 1000
    for name in ("p99_ms_max", "longest_ms_max"):
        limit_ms = getattr(traffic, name)
        if limit_ms is not None and limit_ms >= patience_ms:
            yield Mistake(
                f"traffic.{name}", f"must be below traffic.timeout_s ({patience_ms:g} ms), found {limit_ms:g}"
            )
    shortest_s = traffic.baseline_s + traffic.after_old_gone_s + traffic.tail_s
    if traffic.max_duration_s <= shortest_s:
        yield Mistake("traffic.max_duration_s", f"must be above baseline, after_old_gone and tail ({shortest_s:g} s)")
