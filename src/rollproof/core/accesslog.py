"""One line of an ingress's access log: whose request it is, and how often the ingress tried it.

Evidence is positive. "Tried again" needs a mark that says so; "tried once" needs the one mark of that proxy that would
have said otherwise. A line that lacks it is unreadable: nginx names every server that it asked in `$upstream_addr`,
but Envoy's `upstream_host` and HAProxy's server address name the last one only, so an address there proves nothing.

Sources: nginx ngx_http_upstream_module (`$upstream_addr`, `$upstream_status`), ingress-nginx "Log format", Envoy
"Access logging" (`%UPSTREAM_REQUEST_ATTEMPT_COUNT%`, `%UPSTREAM_HOSTS_ATTEMPTED%`, response flag URX), HAProxy
configuration manual 8.2 (`%rc`, with "+" after a redispatch), and lines of a real Traefik 3.7.13: the retry
middleware of Traefik 2 and 3 tells the log nothing (`retry.Listeners{}`), and `RetryAttempts` is 0 after any retry.
Caddy's `{http.reverse_proxy.retries}` (modules/caddyhttp/reverseproxy) counts its own loop, and leaves a request that
it may send again to Go's HTTP library ("nil Body for http.Transport retries"): as with Traefik, a 0 proves nothing.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FORMATS", "AccessLine", "Format", "LogShape", "advice", "read_line", "shape_of"]

_DEPTH_MAX = 8  # of nested objects in a line
_FORBIDDEN_LIST = ("", "-")
_LOOKED_AT = 50  # of the last lines
_SENT_NOWHERE = ("", "-", "0")


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
    which its lines hold the caller's X-Request-ID, for people; empty where that would help nobody. `counts` are the
    fields of which a line needs one to say that a request was tried once; `set_it` is how to have it, for people.
    """

    name: str
    marks: tuple[frozenset[str], ...]
    needs: str
    tries: Callable[[Mapping[str, str]], tuple[int | None, tuple[str, ...]]]
    names_it: str = ""
    counts: tuple[str, ...] = ()
    set_it: str = ""


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
    access = status is not None or bool(fields.keys() & _UPSTREAM_WORDS)
    return _line(request_id, fields, status, access=access, names=_top(entry))


def _line(
    request_id: str, fields: Mapping[str, str], status: str | None, *, access: bool = True,
    names: frozenset[str] = frozenset(),
) -> AccessLine:  # fmt: skip
    there = fields.keys() | names
    form = next(form for form in FORMATS if any(marks <= there for marks in form.marks))
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


def _simple(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _top(entry: Mapping[str, Any]) -> frozenset[str]:
    """The names at the top of a line, those of objects too: an empty one has no leaf, and tells whose line it is."""
    return frozenset(_simple(str(name)) for name in entry)


def _named(leaves: list[tuple[tuple[str, ...], str]]) -> dict[str, str]:
    """Fields by simplified name, under each tail of their path: upstream.addr, upstreamAddr, upstream_addr are one.

    What lies higher comes first. What an object "upstream" calls `status` is not the status of the answer.
    """
    fields: dict[str, str] = {}
    for path, value in sorted(leaves, key=lambda leaf: len(leaf[0])):
        names = [_simple(part) for part in path]
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
        return max([len(servers), *(count or 0 for count in counts)]), tuple(servers[:-1])
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


def _caddy(fields: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    count = _count(fields.get("retries", ""))
    return (1 + count if count else None), ()  # 0 is no evidence: Go's HTTP library sends again by itself


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,4}", text) else None


def _nothing(_: Mapping[str, str]) -> tuple[int | None, tuple[str, ...]]:
    return None, ()


def _any_of(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset({name}) for name in names)


_NGINX_SETTING = (
    """log_format NAME escape=json '{"id":"$http_x_request_id","status":$status,"upstream_addr":"$upstream_addr"}'"""
)

FORMATS: tuple[Format, ...] = (  # the first whose marks are there; the last one takes what is left
    Format(
        "envoy", _any_of("responseflags", "upstreamhost", "upstreamcluster", "responsecodedetails", *_ENVOY_COUNTS,
                         *_ENVOY_HOSTS),
        "upstream_request_attempt_count (%UPSTREAM_REQUEST_ATTEMPT_COUNT%)", _envoy, "%REQ(X-REQUEST-ID)%",
        _ENVOY_COUNTS,
        "a json_format with request_id: %REQ(X-REQUEST-ID)%, response_code: %RESPONSE_CODE%, "
        "upstream_request_attempt_count: %UPSTREAM_REQUEST_ATTEMPT_COUNT%; and preserve_external_request_id: true, "
        "without which an Envoy at the edge puts an id of its own in the place of ours",
    ),
    Format(
        "traefik", _any_of("retryattempts", "downstreamstatus", "originstatus", "serviceurl", "routername"),
        "nothing that it has: Traefik 2 and 3 write RetryAttempts 0 however often they tried", _traefik,
    ),
    Format(  # before HAProxy: people name its count of retries "retries" too (log_append)
        "caddy", (*_any_of("respheaders"), frozenset({"logger", "requestremoteip"})),
        "nothing that it has: by itself Caddy does not log how often it tried, and of its count of retries a 0 proves "
        "nothing",
        _caddy,
    ),
    Format(
        "haproxy", _any_of("retries", "terminationstate", "tsc", "retriescount"), "retries (%rc)", _haproxy,
        "capture request header X-Request-ID len 64", _HAPROXY_RETRIES,
        "option httplog and: capture request header X-Request-ID len 64",
    ),
    Format(
        "nginx", (frozenset(),), "upstream_addr ($upstream_addr) with addresses", _nginx, "$http_x_request_id",
        _NGINX_ADDRESSES,
        f"{_NGINX_SETTING} (ingress-nginx: its default log-format-upstream has it all)",
    ),
)  # fmt: skip


_BY_NAME = {form.name: form for form in FORMATS}

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
        r"\d+/\d+/\d+/\d+/(?P<rc>\+?\d+) \d+/\d+ (?P<captured>\{)?"
    ),
    re.compile(  # Envoy's default, and Istio's, which has more words behind the flags
        r'^\[\d{4}-[^\]]*\] "[^"]*" (?P<response_code>\d+) (?P<response_flags>\S+) '
    ),
)


_COMBINED = Format(
    "nginx or Apache (combined)", (), "$upstream_addr of nginx in a JSON line; Apache logs no retries", _nothing,
    "$http_x_request_id", set_it=f"with nginx {_NGINX_SETTING}; Apache's log names no retries",
)  # fmt: skip

# Lines that hold neither the caller's id nor how often it was tried; whose they are, in the order of search.
_TELL_NOTHING: tuple[tuple[Format, re.Pattern[str]], ...] = (
    (  # its default
        _BY_NAME["traefik"],
        re.compile(r'" (?:\d{3}|-) (?:\d+|-) "[^"]*" "[^"]*" (?:\d+|-) "[^"]*" "[^"]*" \d+ms\s*$'),
    ),
    (_BY_NAME["haproxy"], re.compile(r"Connect from \S+:\d+ to \S+:\d+ \(\S+/(?:HTTP|TCP)\)\s*$")),  # its default
    (  # option tcplog
        _BY_NAME["haproxy"],
        re.compile(r"\] \S+ \S+/\S+ -?\d+/-?\d+/\+?\d+ \+?\d+ \S\S \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+\s*$"),
    ),
    (  # the common format, the combined one, and what nginx's packages make of it ("main")
        _COMBINED,
        re.compile(r'^\S+ \S+ \S+ \[[^\]]+\] "[^"]*" (?:\d{3}|-) (?:\d+|-)(?: "[^"]*" "[^"]*"(?: "[^"]*")?)?\s*$'),
    ),
)


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


@dataclass(frozen=True, slots=True)
class LogShape:
    """What lines will say of our requests, before there are any. `tells`: how often each was tried. `ever`: or would,
    if `set_it` were set."""

    form: Format
    tells: bool

    @property
    def ever(self) -> bool:
        """Whether any setting helps."""
        return bool(self.form.names_it)

    @property
    def said(self) -> str:
        """Whose lines they look like, and what they lack, for people."""
        if self.tells:
            return f"they look like {self.form.name}, and say how often a request was tried"
        if not self.ever:
            return f"they look like {self.form.name}, where it takes {self.form.needs}"
        return f"they look like {self.form.name}, and lack one of both: whose request it is, how often it was tried"


def shape_of(lines: Sequence[str]) -> LogShape | None:
    """Of the last lines, those that say least: a log of two proxies says what both of them say. None: nobody's."""
    found = [shape for line in lines[-_LOOKED_AT:] if (shape := _shape(line)) is not None]
    forms = {shape.form.name: shape.form for shape in found}
    shapes = [LogShape(form, any(one.tells for one in found if one.form is form)) for form in forms.values()]
    return min(shapes, key=lambda shape: (shape.ever, shape.tells), default=None)


def advice(lines: Sequence[str]) -> str:
    """With which setting the proxy whose lines these are would name our requests, or why none would help.

    "" if nobody knows these lines.
    """
    shape = shape_of(lines)
    if shape is None:
        return ""
    if not shape.ever:
        return shape.said
    return f"they look like {shape.form.name}, which names the caller's id with {shape.form.names_it}"


def _shape(line: str) -> LogShape | None:
    entry = _json(line)
    if entry is None:
        return _shape_of_text(line)
    fields = _named(list(_leaves(entry)))
    there = fields.keys() | _top(entry)
    form = next((form for form in FORMATS if any(marks and marks <= there for marks in form.marks)), None)
    if form is None and fields.keys() & {*_NGINX_ADDRESSES, *_NGINX_LISTS}:
        form = FORMATS[-1]
    return None if form is None else LogShape(form, bool(form.names_it) and _can_say(form, fields))


def _shape_of_text(line: str) -> LogShape | None:
    found = next((found for pattern in _TEXTS if (found := pattern.search(line))), None)
    if found is not None:
        fields = {name.replace("_", ""): value for name, value in found.groupdict().items() if value is not None}
        form = next((form for form in FORMATS if any(marks and marks <= fields.keys() for marks in form.marks)), None)
        if form is None:
            return LogShape(FORMATS[-1], tells=True)
        return LogShape(form, _can_say(form, fields) and (form.name != "haproxy" or "captured" in fields))
    return next((LogShape(form, tells=False) for form, pattern in _TELL_NOTHING if pattern.search(line)), None)


def _can_say(form: Format, fields: Mapping[str, str]) -> bool:
    """It says it, or would of a request that was sent on: "-" and Envoy's 0 are of one that was not."""
    return form.tries(fields)[0] is not None or any(fields.get(name) in _SENT_NOWHERE for name in form.counts)
