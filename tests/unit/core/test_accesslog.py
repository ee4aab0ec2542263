"""Lines of ingresses as they write them: retried by their own marks, surely not retried, or unreadable."""

from __future__ import annotations

import json

import pytest
from accesslines import ID, OTHER, POD, envoy, haproxy, haproxy_json, ingress_nginx, nginx, traefik
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.accesslog import FORMATS, AccessLine, read_line

# (what it is, the line, how often it was tried; None: it does not say)
LINES: list[tuple[str, str, int | None]] = [
    # A5, A6: an address in the field of that name proves it; nothing else does
    ("a5-no-address-field", nginx(bytes=61, took=0.004), None),
    ("a5-unknown-address-field", nginx(backend=POD), None),
    ("a5-name-for-an-address", nginx(upstream="shop-web-80"), None),
    ("a5-dash", nginx(upstream_addr="-"), None),
    ("a5-empty", nginx(upstream_addr=""), None),
    ("a5-null", nginx(upstream_addr=None), None),
    ("a5-name-of-the-group", nginx(upstream_addr="backend"), None),
    ("a5-without-a-port", nginx(upstream_addr="shop"), None),
    ("a5-number", nginx(upstream=1), None),
    ("a5-object", nginx(upstream={}), None),
    ("a5-port-out-of-range", nginx(upstream_addr="10.0.0.1:808080"), None),
    ("a6-nested", nginx(upstream={"addr": POD, "status": 200}), 1),
    ("a6-nested-deeper", nginx(nginx={"upstream": {"addr": POD}}), 1),
    ("a6-nested-retried", nginx(upstream={"addr": f"{OTHER}, {POD}", "status": "502, 200"}), 2),
    ("a6-name-beside-address", nginx(upstream="shop-web-80", upstream_addr=POD), 1),
    ("a6-name-beside-retried", nginx(upstream="shop-web-80", upstream_addr=f"{OTHER}, {POD}"), 2),
    ("a6-camel-case", nginx(upstreamAddr=f"{OTHER}, {POD}"), 2),
    ("a6-list", nginx(upstream_addr=[OTHER, POD]), 2),
    ("a6-list-of-one", nginx(upstream_addr=[POD]), 1),
    # nginx
    ("nginx-once", nginx(upstream=POD), 1),
    ("nginx-ipv6", nginx(upstream_addr="[fd00::7]:8080"), 1),
    ("nginx-socket", nginx(upstream_addr="unix:/run/app.sock"), 1),
    ("nginx-three", nginx(upstream_addr=f"{OTHER}, {OTHER}, {POD}"), 3),
    ("nginx-status-list-alone", nginx(upstream_addr="-", upstream_status="502, 200"), 2),
    ("nginx-status-list-beside-one-address", nginx(upstream_addr=POD, upstream_status="504, 200"), 2),
    ("nginx-times", nginx(upstream_response_time="0.001, 0.002"), 2),
    ("nginx-one-status-proves-nothing", nginx(upstream_status="200"), None),
    ("nginx-error-page", nginx(upstream_addr=f"{OTHER} : {POD}", upstream_status="502 : 200"), 2),
    ("nginx-accel-redirect", nginx(upstream_addr=f"{OTHER} : {POD}", upstream_status="200 : 200"), 1),
    ("nginx-groups-without-status", nginx(upstream_addr=f"{OTHER} : {POD}"), None),
    ("nginx-retry-and-group", nginx(upstream_addr=f"{OTHER}, {POD} : {POD}", upstream_status="502, 200 : 200"), 3),
    ("nginx-none-left", nginx(upstream_addr=f"{OTHER}, backend", status=502), 2),
    ("ingress-nginx-once", ingress_nginx(POD, "61", "0.004", "200"), 1),
    ("ingress-nginx-retried", ingress_nginx(f"{OTHER}, {POD}", "0, 61", "0.001, 0.004", "502, 200"), 2),
    ("ingress-nginx-none", ingress_nginx("-", "-", "-", "-"), None),
    # Envoy: upstream_host is the last one only
    ("envoy-host-only", envoy(), None),
    ("envoy-once", envoy(upstream_request_attempt_count=1), 1),
    ("envoy-twice", envoy(upstream_request_attempt_count="2"), 2),
    ("envoy-never-sent-on", envoy(upstream_request_attempt_count=0), None),
    ("envoy-dash", envoy(upstream_request_attempt_count="-"), None),
    ("envoy-header", envoy(**{"x-envoy-attempt-count": "3"}), 3),
    ("envoy-limit", envoy(response_code=503, response_flags="UF,URX"), 2),
    ("envoy-reset-is-no-retry", envoy(response_code=503, response_flags="UR"), None),
    ("envoy-hosts", envoy(upstream_hosts_attempted=f"{OTHER},{POD}", upstream_request_attempt_count=2), 2),
    ("envoy-same-host-again", envoy(upstream_hosts_attempted=POD, upstream_request_attempt_count=2), 2),
    ("envoy-named-like-nginx", envoy(upstream_addr=POD), None),
    (
        "envoy-text",
        f'[2026-11-28T10:00:00.000Z] "GET /health HTTP/1.1" 200 - 0 61 4 3 "-" "rollproof" "{ID}" "shop" "{POD}"',
        None,
    ),
    (
        "envoy-text-limit",
        f'[2026-11-28T10:00:00.000Z] "GET /health HTTP/1.1" 503 URX 0 61 4 - "-" "rollproof" "{ID}" "shop" "{POD}"',
        2,
    ),
    # HAProxy: the server's address is the last one only
    ("haproxy-once", haproxy("1/1/1/1/0"), 1),
    ("haproxy-retried", haproxy("1/1/1/1/3"), 4),
    ("haproxy-redispatched", haproxy("1/1/1/1/+3"), 4),
    ("haproxy-redispatched-at-once", haproxy("1/1/1/1/+0"), 2),
    ("haproxy-json-once", haproxy_json(retries=0), 1),
    ("haproxy-json-retried", haproxy_json(retries="+1"), 2),
    ("haproxy-json-without-retries", haproxy_json(upstream_addr=POD), None),
    ("haproxy-json-rc", json.dumps({"id": ID, "status": 200, "tsc": "----", "rc": "2"}), 3),
    ("rc-of-somebody-else", nginx(rc=200), None),
    # Traefik
    ("traefik-0-says-nothing", traefik(RetryAttempts=0), None),
    ("traefik-1-retried", traefik(RetryAttempts=2), 3),
    ("traefik-field-dropped", traefik(), None),
    ("traefik-null", traefik(RetryAttempts=None), None),
    # others
    ("caddy", json.dumps({"logger": "http.log.access", "request": {"headers": {"X-Request-Id": [ID]}}, "status": 200,
                          "resp_headers": {}}), None),
    ("caddy-retried", json.dumps({"logger": "http.log.access", "request": {"headers": {"X-Request-Id": [ID]}},
                                  "status": 200, "resp_headers": {}, "retries": 2}), 3),
    ("caddy-0-says-nothing", json.dumps({"logger": "http.log.access", "request": {"headers": {"X-Request-Id": [ID]}},
                                         "status": 200, "resp_headers": {}, "retries": 0}), None),
    ("common-log-format", f'10.0.0.2 - - [28/Nov/2026:10:00:00 +0000] "GET /health HTTP/1.1" 200 61 "{ID}"', None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "tries"), [case[1:] for case in LINES], ids=[case[0] for case in LINES])
def test_a_line_says_how_often_it_was_tried_or_is_unreadable(line: str, tries: int | None) -> None:
    read = read_line(line, "rp1")
    assert read is not None
    assert (read.request_id, read.tries) == (ID, tries)


def test_the_servers_that_were_asked_in_vain_are_named() -> None:
    read = read_line(nginx(upstream_addr=f"{OTHER}, {POD}"), "rp1")
    assert read is not None
    assert (read.failed, read.good) == ((OTHER,), True)


@pytest.mark.parametrize("line", ["", "rp1", '{"id": "other-1"}', '{"id": {"rp1-1": 1}}', '["rp1-1"]', '{"id": rp1-1'])
def test_what_is_not_about_a_request_of_ours_is_nobodys(line: str) -> None:
    read = read_line(line, "rp1")
    assert read is None or read.tries is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
        max_leaves=12,
    )
)
def test_no_line_of_another_shape_says_anything(value: object) -> None:
    """Whatever stands in a line beside the id: it never raises, and never says that a request was tried once."""
    read = read_line(json.dumps({"id": ID, "upstream": value, "x": value}), "rp1")
    assert read is not None
    assert read.tries != 1


MARKS: dict[str, tuple[str, ...]] = {  # each alone tells whose line it is
    "envoy": (
        "response_flags", "upstream_host", "upstream_cluster", "response_code_details",
        "upstream_request_attempt_count", "request_attempt_count", "x-envoy-attempt-count", "attempt_count",
        "upstream_hosts_attempted", "upstream_hosts_attempted_without_port", "upstream_host_names_attempted",
    ),
    "traefik": ("RetryAttempts", "DownstreamStatus", "OriginStatus", "ServiceURL", "RouterName"),
    "caddy": ("resp_headers",),
    "haproxy": ("retries", "termination_state", "tsc", "retries_count"),
    "nginx": ("upstream_addr", "bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "mark"), [(name, mark) for name, marks in MARKS.items() for mark in marks])
def test_each_mark_alone_tells_the_proxy(name: str, mark: str) -> None:
    read = read_line(json.dumps({"id": ID, mark: "x"}), "rp1")
    assert read is not None
    assert read.format == name


def test_two_fields_that_only_together_tell_caddy() -> None:
    names = ("logger", "request_remote_ip")
    both, *each = (dict.fromkeys(chosen, "x") for chosen in (names, names[:1], names[1:]))
    read = [read_line(json.dumps({"id": ID, **fields}), "rp1") for fields in (both, *each)]
    assert [one is not None and one.format == "caddy" for one in read] == [True, False, False]


def test_each_format_says_what_it_needs() -> None:
    assert {form.name: form.needs for form in FORMATS} == {
        "envoy": "upstream_request_attempt_count (%UPSTREAM_REQUEST_ATTEMPT_COUNT%)",
        "traefik": "nothing that it has: Traefik 2 and 3 write RetryAttempts 0 however often they tried",
        "haproxy": "retries (%rc)",
        "caddy": "nothing that it has: by itself Caddy does not log how often it tried, and of its count of retries a "
        "0 proves nothing",
        "nginx": "upstream_addr ($upstream_addr) with addresses",
    }


@pytest.mark.parametrize("name", [
    "DownstreamStatus", "status", "status_code", "response_code", "responseStatus", "response_status_code",
    "http_status", "httpStatusCode",
])  # fmt: skip
@pytest.mark.parametrize(("status", "good"), [(200, True), (499, True), (500, False), ("99", None), ("-", None)])
def test_each_name_of_the_status(name: str, status: object, good: bool | None) -> None:
    read = read_line(json.dumps({"id": ID, name: status}), "rp1")
    assert read is not None
    assert (read.good, read.access) == (good, True)


@pytest.mark.parametrize("name", [
    "upstream_addr", "upstream_address", "upstream_addrs", "upstream", "upstreams", "upstream_status",
    "upstream_response_time", "upstream_connect_time", "upstream_response_length",
])  # fmt: skip
def test_each_list_of_nginx_counts(name: str) -> None:
    read = read_line(json.dumps({"id": ID, name: "x, y"}), "rp1")
    assert read is not None
    assert (read.tries, read.access) == (2, True)


@pytest.mark.parametrize(("line", "good"), [
    (ingress_nginx(POD, "61", "0.004", "200"), True),
    (haproxy("1/1/1/1/0", status=503), False),
    ('[2026-11-28T10:00:00.000Z] "GET / HTTP/1.1" 503 - 0 61 4 3 "-" "x" "rp1-7" "shop" "10.0.0.1:80"', False),
])  # fmt: skip
def test_the_status_of_lines_of_text(line: str, good: bool) -> None:
    read = read_line(line, "rp1")
    assert read is not None
    assert (read.good, read.access) == (good, True)


# ---- of two fields that say the same: which is heard ----

ORDERS: dict[str, tuple[str, ...]] = {
    "status": (
        "DownstreamStatus", "status", "status_code", "response_code", "responseStatus", "response_status_code",
        "http_status", "httpStatusCode",
    ),
    "addresses": ("upstream_addr", "upstream_address", "upstream_addrs", "upstream", "upstreams"),
    "lists": ("upstream_status", "upstream_response_time", "upstream_connect_time", "upstream_response_length"),
    "hosts": (
        "upstream_hosts_attempted", "upstream_hosts_attempted_without_port", "upstream_host_names_attempted",
    ),
    "retries": ("retries", "rc", "retries_count"),
}  # fmt: skip


def pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(first, second) for at, first in enumerate(names) for second in names[at + 1 :]]


def read(**fields: object) -> AccessLine:
    found = read_line(json.dumps({"id": ID, **fields}), "rp1")
    assert found is not None
    return found


@pytest.mark.parametrize(("first", "second"), pairs(ORDERS["status"]))
def test_of_two_statuses(first: str, second: str) -> None:
    assert read(**{second: 502, first: 200}).good is True
    assert read(**{second: 200, first: 502}).good is False


@pytest.mark.parametrize(("first", "second"), [*pairs(ORDERS["addresses"]), *pairs(ORDERS["lists"])])
def test_of_two_lists_of_nginx(first: str, second: str) -> None:
    assert read(**{second: "x, y, z", first: "x, y"}).tries == 2
    assert read(**{second: "x, y", first: "x, y, z"}).tries == 3
    assert read(**{second: "x, y, z", first: "x"}).tries == 3, "one alone says nothing"


@pytest.mark.parametrize(("first", "second"), pairs(ORDERS["hosts"]))
def test_of_two_lists_of_envoy(first: str, second: str) -> None:
    assert read(**{second: "x, y, z", first: "x, y"}).tries == 2


@pytest.mark.parametrize(("first", "second"), pairs(ORDERS["retries"]))
def test_of_two_counts_of_haproxy(first: str, second: str) -> None:
    assert read(termination_state="--", **{second: 2, first: 1}).tries == 2


@pytest.mark.parametrize(("first", "second"), pairs(tuple(MARKS)))
def test_of_the_marks_of_two_proxies(first: str, second: str) -> None:
    for one in MARKS[first]:
        for two in MARKS[second]:
            assert read(**{two: "x", one: "x"}).format == first


def test_what_lies_higher_comes_first() -> None:
    for a, z in (("a", "z"), ("z", "a")):  # whatever the names
        deep = {a: {"status": 502, "upstream_addr": POD}}
        assert read(**deep, **{z: {"b": {"status": 200}}}).good is False
        assert read(**deep, status=200).good is True
        assert read(**deep, upstream_addr=f"{OTHER}, {POD}").tries == 2


@pytest.mark.parametrize("name", ["upstream", "upstreams", "Upstream-1"])
@pytest.mark.parametrize("around", [(), ("nginx",)])
def test_the_status_of_an_upstream_is_not_the_answers(name: str, around: tuple[str, ...]) -> None:
    line: dict[str, object] = {name: {"status": 502}}
    for outer in around:
        line = {outer: line}
    assert read(**line).good is None
    assert read(**line, http={"status": 200}).good is True


@pytest.mark.parametrize(
    ("address", "tries"),
    [
        ("10.0.0.1:1", 1),
        ("10.0.0.1:0", None),
        ("10.0.0.1:65535", 1),
        ("10.0.0.1:65536", None),
        ("10.0.0.1:", None),
        ("10.0.0.1:80x", None),
        ("10.0.0.1:\u0661", None),  # a digit, and none of ours
        ("10.0.0.256:80", None),
        ("10.0.0.1", None),
        ("fd00::7", None),  # its last group could be a port; fd00: is no address
        ("[fd00::7]:80", 1),
        ("unix:", None),
        ("unix:/", 1),
    ],
)
def test_what_is_the_address_of_a_server(address: str, tries: int | None) -> None:
    assert read(upstream_addr=address).tries == tries


@pytest.mark.parametrize(
    ("name", "access"),
    [
        ("upstream_host", True),
        ("response_flags", True),
        ("RetryAttempts", True),
        ("status", True),
        ("bytes", False),
        ("message", False),
        ("upstream_name", False),
        ("upstream_cluster", False),
    ],
)
def test_a_line_that_names_a_request_may_be_no_access_line(name: str, access: bool) -> None:
    assert read(**{name: "x"}).access is access


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        ({"upstream_addr": "a, b, c"}, ("a", "b")),
        ({"upstream_addr": ["a", "b"]}, ("a",)),
        ({"upstream_addr": "1.1.1.1:1 : 2.2.2.2:2 : 3.3.3.3:3", "upstream_status": "502 : 502 : 200"},
         ("1.1.1.1:1", "2.2.2.2:2")),
        ({"upstream_addr": "1.1.1.1:1 : 2.2.2.2:2", "upstream_status": "200 : 502"}, ()),
        ({"upstream_hosts_attempted": "a,b,c"}, ("a", "b")),
    ],
)  # fmt: skip
def test_all_but_the_last_server_were_asked_in_vain(fields: dict[str, object], failed: tuple[str, ...]) -> None:
    found = read(**fields)
    assert (found.failed, found.tries) == (failed, len(failed) + 1)


@pytest.mark.parametrize(
    ("hosts", "count", "tries"),
    [
        ("a", None, None), ("a", "1", 1), ("a", "3", 3), ("a,b", None, 2), ("a,b", "-", 2), ("a,b", 0, 2),
        ("a,b", 3, 3), ("a,b,c", 2, 3), ("a,-", None, None),
    ],
)  # fmt: skip
def test_of_envoys_hosts_and_its_count_the_larger(hosts: str, count: object, tries: int | None) -> None:
    counted = {} if count is None else {"upstream_request_attempt_count": count}
    assert read(upstream_hosts_attempted=hosts, **counted).tries == tries


@pytest.mark.parametrize("name", ORDERS["retries"])
def test_each_count_of_haproxy(name: str) -> None:
    assert read(termination_state="--", **{name: 2}).tries == 3


@pytest.mark.parametrize(
    "value",
    [f"-, {POD}", f"{OTHER}, ", [], [OTHER, None], [OTHER, POD, True], [OTHER, [POD]], [{"a": OTHER}, POD], True, None],
    ids=str,
)
def test_a_list_with_what_is_no_server_says_nothing(value: object) -> None:
    assert read(upstream_addr=value).tries is None


@pytest.mark.parametrize("value", [None, True, {}, [], [None]], ids=str)
def test_a_status_that_is_none_is_looked_for_further_down(value: object) -> None:
    assert read(status=value, http={"status": 200}).good is True


@pytest.mark.parametrize(("depth", "read_at_all"), [(1, True), (8, True), (9, False)])
def test_how_deep_a_line_is_read(depth: int, read_at_all: bool) -> None:
    value: object = ID
    for _ in range(depth):
        value = {"a": value}
    assert (read_line(json.dumps(value), "rp1") is not None) is read_at_all


@pytest.mark.parametrize("line", ['{"a": "x rp1-7"}', '{"rp1-7": 1}', '{"a": "x", "rp1-7": "y"}', '{"a": [["rp1-7"]]}'])
def test_a_line_that_holds_the_prefix_elsewhere_is_nobodys(line: str) -> None:
    assert read_line(line, "rp1") is None


def test_a_line_of_text_that_no_proxy_writes_is_no_access_line() -> None:
    for line in ("took rp1-7 in hand", f'10.0.0.2 - - [28/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 61 "{ID}"'):
        assert read_line(line, "rp1") == AccessLine(ID, "text", None, access=False)


def test_a_list_of_servers_in_a_json_line_is_what_nginx_would_have_written() -> None:
    line = '{"id": "rp-1", "upstream_addr": ["10.0.0.1:80", "10.0.0.2:80"], "status": 200}'
    assert read_line(line, "rp-") == AccessLine("rp-1", "nginx", 2, ("10.0.0.1:80",), good=True)


def test_a_status_at_the_top_is_before_one_that_lies_deeper() -> None:
    line = '{"a": {"status": 500}, "id": "rp-1", "status": 200, "upstream_addr": "10.0.0.1:80"}'
    assert read_line(line, "rp-") == AccessLine("rp-1", "nginx", 1, (), good=True)
