"""One line of an ingress's access log: whose request it is, and how often the ingress tried it.

Evidence is positive. "Tried again" needs a mark that says so; "tried once" needs the one mark of that proxy that would
have said otherwise. A line that lacks it is unreadable: nginx names every server that it asked in `$upstream_addr`,
but Envoy's `upstream_host` and HAProxy's server address name the last one only, so an address there proves nothing.

Sources: nginx ngx_http_upstream_module (`$upstream_addr`, `$upstream_status`), ingress-nginx "Log format", Envoy
"Access logging" (`%UPSTREAM_REQUEST_ATTEMPT_COUNT%`, `%UPSTREAM_HOSTS_ATTEMPTED%`, response flag URX), HAProxy
configuration manual 8.2.3 (`%rc`, with "+" after a redispatch), and lines of a real Traefik 3.7.13: the retry
middleware of Traefik 2 and 3 tells the log nothing (`retry.Listeners{}`), and `RetryAttempts` is 0 after any retry.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FORMATS", "AccessLine", "Format", "advice", "read_line", "says_nothing"]

_DEPTH_MAX = 8  # of nested objects in a line
_FORBIDDEN_LIST = ("", "-")
_LOOKED_AT = 50  # of the last lines


@dataclass(frozen=True, slots=True)
class AccessLine:
    """What a line says of one request.

    `tries` is how often the ingress sent it on, None if the line does not say; `failed` are the servers that were
    asked in vain, as far as they are named; `good` is whether the final status was below 500, None if unknown.
    `access` is False for a line that names the request and is no access line: it says nothing either way.
    """

    request_id: str
    format: str
    tries: int | None
    failed: tuple[str, ...] = ()
    good: bool | None = None
    access: bool = True


@dataclass(frozen=True, slots=True)
class Format:
    """A proxy's way to log. `marks` are fields (simplified names) that tell it, each group in full, `needs` is what a
    line must hold to say how often the request was tried, for people; `tries` reads it. `names_it` is the setting with
    which its lines hold the caller's X-Request-ID, for people; empty where that would help nobody.
    """

    name: str
    marks: tuple[frozenset[str], ...]
    needs: str
    tries: Callable[[Mapping[str, str]], tuple[int | None, tuple[str, ...]]]
    names_it: str = ""


def read_line(line: str, prefix: str) -> AccessLine | None:
    """The line, if it is about a request whose id begins with `prefix`; else None."""
    if prefix not in line:
        return None
    entry = _json(line)
    if entry is None:
        return _read_text(line, prefix)
    leaves = list(_leaves(entry))
    request_id = next((value for _, value in leaves if value.startswith(prefix)), "")
    if not request_id:
        return None
    fields = _named(leaves)
    status = next((fields[name] for name in _STATUS if name in fields), None)
    return _line(request_id, fields, status, access=status is not None or bool(fields.keys() & _UPSTREAM_WORDS))


def _line(request_id: str, fields: Mapping[str, str], status: str | None, *, access: bool = True) -> AccessLine:
    form = next(form for form in FORMATS if any(marks <= fields.keys() for marks in form.marks))
    tries, failed = form.tries(fields)
    return AccessLine(request_id, form.name, tries, failed, _good(status), access or tries is not None)


def _good(status: str | None) -> bool | None:
    return int(status) < 500 if status is not None and re.fullmatch(r"[1-9]\d\d", status) else None


# -- fields -----------------------------------------------------------------------------------------------------------


def _json(line: str) -> Mapping[str, Any] | None:
    """The object in a line; what stands before it (a time, a syslog header) is skipped. None if there is none."""
    begin = line.find("{")
    try:
        entry = json.loads(line[begin:]) if begin >= 0 else None
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every plain value with the names on the way to it; a list stands for its items, joined as nginx would."""
    if len(path) > _DEPTH_MAX:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        plain = [str(item) for item in value if isinstance(item, str | int | float) and not isinstance(item, bool)]
        if plain and len(plain) == len(value):
            yield path, ", ".join(plain)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield path, str(value).strip()


def _named(leaves: list[tuple[tuple[str, ...], str]]) -> dict[str, str]:
    """Fields by simplified name, under each tail of their path: upstream.addr, upstreamAddr, upstream_addr are one.

    What lies higher comes first. What an object "upstream" calls `status` is not the status of the answer.
    """
    fields: dict[str, str] = {}
    for path, value in sorted(leaves, key=lambda leaf: len(leaf[0])):
        names = [re.sub(r"[^a-z0-9]", "", part.lower()) for part in path]
        last = max((at + 1 for at, name in enumerate(names[:-1]) if name.startswith("upstream")), default=len(names))
        for begin in range(last):
            fields.setdefault("".join(names[begin:]), value)
    return fields


_STATUS = (
    "downstreamstatus", "status", "statuscode", "responsecode", "responsestatus", "responsestatuscode", "httpstatus",
    "httpstatuscode",
)  # fmt: skip
_NGINX_ADDRESSES = ("upstreamaddr", "upstreamaddress", "upstreamaddrs", "upstream", "upstreams")
_NGINX_LISTS = ("upstreamstatus", "upstreamresponsetime", "upstreamconnecttime", "upstreamresponselength")
_ENVOY_COUNTS = ("upstreamrequestattemptcount", "requestattemptcount", "xenvoyattemptcount", "attemptcount")
_ENVOY_HOSTS = ("upstreamhostsattempted", "upstreamhostsattemptedwithoutport", "upstreamhostnamesattempted")
_HAPROXY_RETRIES = ("retries", "rc", "retriescount")
_UPSTREAM_WORDS = frozenset({*_NGINX_ADDRESSES, *_NGINX_LISTS, "upstreamhost", "responseflags", "retryattempts"})


# -- how often it was tried, by proxy ---------------------------------------------------------------------------------


def _nginx(fields: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    """Servers of one group are separated by commas, groups (an internal redirect) by " : ".

    A second group is another try only if the first one failed, as `$upstream_status` tells; X-Accel-Redirect is none.
    """
    lists = [groups for name in _NGINX_ADDRESSES if name in fields and (groups := _groups(fields[name]))]
    tried = next((groups for groups in lists if any(len(group) > 1 for group in groups)), None)
    if tried is not None:
        servers = [server for group in tried for server in group]
        return len(servers), tuple(servers[:-1])
    statuses = _groups(fields.get("upstreamstatus", ""))
    for name in _NGINX_LISTS:
        if any(len(group) > 1 for group in _groups(fields.get(name, ""))):
            return max(len(group) for group in _groups(fields[name])), ()
    known = next((groups for groups in lists if all(_is_address(one) for group in groups for one in group)), None)
    if known is None:
        return None, ()
    if len(known) > 1 and len(statuses) != len(known):
        return None, ()
    failed = [group[-1] for group, status in zip(known[:-1], statuses, strict=False) if not _good(status[-1])]
    return 1 + len(failed), tuple(failed)


def _groups(text: str) -> list[list[str]]:
    groups = [[part.strip() for part in group.split(",")] for group in re.split(r"\s+:\s+", text)]
    return groups if all(part not in _FORBIDDEN_LIST for group in groups for part in group) else []


def _is_address(text: str) -> bool:
    """An IP address with a port, or the path of a socket: what nginx writes for a server that it asked."""
    if text.startswith("unix:"):
        return len(text) > len("unix:")
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return False
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _envoy(fields: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    hosts = next((found for name in _ENVOY_HOSTS if (found := _groups(fields.get(name, "")))), [])
    servers = [server for group in hosts for server in group]
    counts = [_count(fields[name]) for name in _ENVOY_COUNTS if name in fields]
    if len(servers) > 1:
        return max(len(servers), *(count or 0 for count in counts), 0), tuple(servers[:-1])
    if any(count is not None and count > 1 for count in counts):
        return max(count or 0 for count in counts), ()
    if "URX" in re.split(r"[^A-Z]+", fields.get("responseflags", "")):
        return 2, ()  # at least: the limit of retries was reached
    return (1, ()) if 1 in counts else (None, ())


def _haproxy(fields: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    said = next((fields[name] for name in _HAPROXY_RETRIES if name in fields), "")
    count = _count(said.removeprefix("+"))
    if count is None:
        return None, ()
    return 1 + max(count, int(said.startswith("+"))), ()


def _traefik(fields: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    count = _count(fields.get("retryattempts", ""))
    return (1 + count if count else None), ()  # 0 is what Traefik 2 and 3 always write: no evidence of anything


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,4}", text) else None


def _nothing(_: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    return None, ()


def _any_of(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({name}) for name in names)


FORMATS: tuple[Format, ...] = (  # the first whose marks are there; the last one takes what is left
    Format(
        "envoy", _any_of("responseflags", "upstreamhost", "upstreamcluster", "responsecodedetails", *_ENVOY_COUNTS,
                         *_ENVOY_HOSTS),
        "upstream_request_attempt_count (%UPSTREAM_REQUEST_ATTEMPT_COUNT%)", _envoy, "%REQ(X-REQUEST-ID)%",
    ),
    Format(
        "traefik", _any_of("retryattempts", "downstreamstatus", "originstatus", "serviceurl", "routername"),
        "nothing that it has: Traefik 2 and 3 write RetryAttempts 0 however often they tried", _traefik,
    ),
    Format(
        "haproxy", _any_of("retries", "terminationstate", "tsc", "retriescount"), "retries (%rc)", _haproxy,
        "capture request header X-Request-ID len 64",
    ),
    Format("caddy", _any_of("respheaders"),
           "nothing that it has: Caddy does not log how often it tried", _nothing),
    Format("nginx", (frozenset(),), "upstream_addr ($upstream_addr) with addresses", _nginx, "$http_x_request_id"),
)  # fmt: skip


# -- lines that are not JSON ------------------------------------------------------------------------------------------

_LIST = r"[^\s,]+(?:(?:, | : )[^\s,]+)*"
_TEXTS: tuple[re.Pattern[str], ...] = (
    re.compile(  # ingress-nginx, its default; the id is the last word
        r'" (?P<status>\d{3}) \d+ "[^"]*" "[^"]*" \d+ [\d.]+ \[[^\]]*\] \[[^\]]*\] '
        rf"(?P<upstream_addr>{_LIST}) (?P<upstream_response_length>{_LIST}) (?P<upstream_response_time>{_LIST}) "
        rf"(?P<upstream_status>{_LIST}) \S+\s*$"
    ),
    re.compile(  # HAProxy, option httplog; the id is a captured header
        r"\] \S+ \S+/\S+ -?\d+/-?\d+/-?\d+/-?\d+/\+?\d+ (?P<status>-?\d+) \+?\d+ \S+ \S+ (?P<tsc>\S{4}) "
        r"\d+/\d+/\d+/\d+/(?P<rc>\+?\d+) \d+/\d+ "
    ),
    re.compile(  # Envoy's default, and Istio's, which has more words behind the flags
        r'^\[\d{4}-[^\]]*\] "[^"]*" (?P<response_code>\d+) (?P<response_flags>\S+) '
    ),
)


# Traefik's default: the caller's id is not in it
_TRAEFIK_TEXT = re.compile(r'" (?:\d{3}|-) (?:\d+|-) "[^"]*" "[^"]*" (?:\d+|-) "[^"]*" "[^"]*" \d+ms\s*$')


def _read_text(line: str, prefix: str) -> AccessLine | None:
    named = re.search(rf"(?<![\w.-]){re.escape(prefix)}-?\d+", line)
    if named is None:
        return None
    for pattern in _TEXTS:
        found = pattern.search(line)
        if found is not None:
            fields = {name.replace("_", ""): value for name, value in found.groupdict().items()}
            return _line(named[0], fields, fields.get("status") or fields.get("responsecode"))
    return AccessLine(named[0], "text", None, access=False)


# -- lines without an id of ours --------------------------------------------------------------------------------------


def advice(lines: Sequence[str]) -> str:
    """With which setting the proxy whose lines these are would name our requests, or why none would help.

    "" if nobody knows these lines.
    """
    form = _form_of(lines)
    if form is None:
        return ""
    named = f"which names the caller's id with {form.names_it}" if form.names_it else f"where it takes {form.needs}"
    return f"they look like {form.name}, {named}"


def says_nothing(lines: Sequence[str]) -> str:
    """Why these lines will never say how often a request was tried, whatever is set; "" if they may."""
    form = _form_of(lines)
    return f"they look like {form.name}, where it takes {form.needs}" if form and not form.names_it else ""


def _form_of(lines: Sequence[str]) -> Format | None:
    return next((form for line in lines[-_LOOKED_AT:] if (form := _form(line)) is not None), None)


def _form(line: str) -> Format | None:
    if _TRAEFIK_TEXT.search(line):
        return next(form for form in FORMATS if form.name == "traefik")
    entry = _json(line)
    if entry is not None:
        fields = set(_named(list(_leaves(entry))))
    else:
        found = next((found for pattern in _TEXTS if (found := pattern.search(line))), None)
        fields = {name.replace("_", "") for name in found.groupdict()} if found else set()
    known = next((form for form in FORMATS if any(marks and marks <= fields for marks in form.marks)), None)
    if known is not None:
        return known
    return FORMATS[-1] if fields & {*_NGINX_ADDRESSES, *_NGINX_LISTS} else None
