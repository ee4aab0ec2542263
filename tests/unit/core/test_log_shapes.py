"""Lines that do not name our requests: whose they are, what they will say, and with which setting."""

from __future__ import annotations

import pytest
from accesslines import ID, POD, envoy, haproxy, haproxy_json, ingress_nginx, nginx, traefik

from rollproof.core.accesslog import advice, shape_of

TRAEFIK_TEXT = (  # its default
    '127.0.0.1 - - [29/Nov/2026:15:26:05 +0000] "GET /health HTTP/1.1" 200 3 "-" "-" 2 "once-mw@file" '
    '"http://127.0.0.1:46709" 1ms'
)
ISTIO = '[2026-11-28T10:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 61 4 3 "-" "x" "y" "shop" "10.0.0.1:80"'


@pytest.mark.parametrize(("line", "setting"), [
    (traefik(RetryAttempts=0), "nothing that it has: Traefik 2 and 3"),
    (TRAEFIK_TEXT, "nothing that it has: Traefik 2 and 3"),
    (envoy(), "%REQ(X-REQUEST-ID)%"),
    (ISTIO, "%REQ(X-REQUEST-ID)%"),
    (haproxy("1/1/1/1/0"), "capture request header X-Request-ID"),
    (haproxy_json(retries=0), "capture request header X-Request-ID"),
    (nginx(upstream_addr=POD), "$http_x_request_id"),
])  # fmt: skip
def test_lines_of_a_known_proxy_that_do_not_name_our_requests_get_its_setting(line: str, setting: str) -> None:
    assert setting in advice(["", "x", line.replace(ID, "-"), "x"])


@pytest.mark.parametrize(("line", "tells"), [
    (ingress_nginx(POD, "61", "0.004", "200"), True), (haproxy("1/1/1/1/0"), True), (ISTIO, False),
])  # fmt: skip
def test_a_line_of_text_says_what_its_proxy_will_say(line: str, tells: bool) -> None:
    shape = shape_of([line])
    assert shape is not None
    assert shape.tells is tells
    assert shape.form.name in shape.said


@pytest.mark.parametrize("lines", [[], ["", "x"], ["GET / 200"], ['{"level": "info", "msg": "x", "status": 200}'],
                                   [traefik()] + ["x"] * 50])  # fmt: skip
def test_lines_of_nobody_known_get_none(lines: list[str]) -> None:
    assert advice(lines) == ""


def test_a_line_of_apache_or_nginx_says_nothing_yet_and_nginx_can_be_told_to() -> None:
    shape = shape_of(['10.1.2.3 - - [29/Nov/2026:15:26:05 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"'])
    assert shape is not None
    assert (shape.form.name, shape.form.names_it) == ("nginx or Apache (combined)", "$http_x_request_id")
    assert (shape.tells, shape.ever) == (False, True)
    assert shape.form.set_it.startswith("with nginx log_format NAME escape=json ")
    assert shape.form.set_it.endswith("; Apache's log names no retries")
    assert shape.said.startswith("they look like nginx or Apache (combined), and lack one of both")


def test_an_nginx_that_was_asked_by_its_address_says_how_often_where_it_is_there() -> None:
    shape = shape_of([nginx(upstream_addr="-").replace(ID, "-")])  # this one was sent on to nobody
    assert shape is not None
    assert (shape.form.name, shape.tells) == ("nginx", True)


def test_a_log_of_two_proxies_says_what_both_of_them_say() -> None:
    one, other = nginx(upstream_addr=POD), traefik(RetryAttempts=0)  # the second never says how often it tried
    for lines in ([one, other], [other, one], [other, *[one] * 9]):
        shape = shape_of([line.replace(ID, "-") for line in lines])
        assert shape is not None
        assert shape.form.name == "traefik"
    for lines in ([ISTIO, one], [one, ISTIO]):  # and the Envoy has not been told to, yet
        shape = shape_of([line.replace(ID, "-") for line in lines])
        assert shape is not None
        assert (shape.form.name, shape.tells) == ("envoy", False)
