"""Which of the well-known access logs say how often a request was tried, told before there is a request of ours.

Each line is in the default format of its proxy, from its documentation: ingress-nginx "Log format", nginx
ngx_http_log_module ("combined") and its packages' nginx.conf ("main"), Apache "Log Files", Traefik "Access Logs"
(CLF), Envoy "Access logging" (default format string), Istio's, HAProxy configuration manual 8.2.1 to 8.2.3,
HAProxy's ingress controller (log-format), Caddy "log".
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from rollproof.core.accesslog import advice, read_line, shape_of
from rollproof.preflight import doctor

POD, OTHER = "10.244.1.7:8080", "10.244.2.9:8080"
TIME = "[28/Nov/2026:10:00:00 +0000]"
CLF = f'10.0.0.2 - - {TIME} "GET /health HTTP/1.1" 200 61'
INGRESS_NGINX = f'{CLF} "-" "curl/8" 180 0.004 [shop-web-80] []'
HTTPLOG = "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in shop/pod-1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0"
ENVOY = '[2026-11-28T10:00:00.000Z] "GET /health HTTP/1.1" 200 -'


def caddy(**more: object) -> str:
    request = {
        "remote_ip": "10.0.0.2", "remote_port": "41342", "client_ip": "10.0.0.2", "proto": "HTTP/2.0", "method": "GET",
        "host": "shop", "uri": "/health", "headers": {"User-Agent": ["curl/8"], "X-Request-Id": ["rp1-7"]},
    }  # fmt: skip
    line = {
        "level": "info", "ts": 1764324000.1, "logger": "http.log.access.log0", "msg": "handled request",
        "request": request, "bytes_read": 0, "user_id": "", "duration": 0.004, "size": 61, "status": 200,
        "resp_headers": {"Server": ["Caddy"], "Content-Type": ["application/json"]},
    }  # fmt: skip
    return json.dumps({**line, **more})


@dataclass(frozen=True)
class Log:
    line: str
    ok: bool | None  # what doctor says of it
    words: tuple[str, ...]  # among what it says and what is to be done


LACKS = "lack one of both: whose request it is, how often it was tried"
NOTHING = "nothing to set: verdicts say INGRESS_LOG_UNREAD"
LOGS: dict[str, Log] = {
    "ingress-nginx, its default": Log(f"{INGRESS_NGINX} {POD} 61 0.004 200 0fa1", True, ("look like nginx, and say",)),
    "ingress-nginx, tried twice": Log(
        f"{INGRESS_NGINX} {OTHER}, {POD} 0, 61 0.001, 0.004 502, 200 0fa1", True, ("look like nginx, and say",)
    ),
    "ingress-nginx, sent nowhere": Log(f"{INGRESS_NGINX} - - - - 0fa1", True, ("look like nginx, and say",)),
    "ingress-nginx, JSON": Log(
        json.dumps({"req_id": "0fa1", "status": "200", "upstream_addr": POD, "upstream_status": "200"}), True,
        ("look like nginx, and say",),
    ),
    "ingress-nginx, JSON sent nowhere": Log(json.dumps({"status": 404, "upstream_addr": "-"}), True, ("readable",)),
    "ingress-nginx, JSON with the Service's name only": Log(
        json.dumps({"req_id": "0fa1", "status": 200, "upstream": "shop-web-80"}), None, ("upstream_addr", LACKS)
    ),
    "ingress-nginx, JSON with its last status only": Log(
        json.dumps({"status": "200", "upstream_status": "200"}), None, ("$upstream_addr", LACKS)
    ),
    "JSON of somebody": Log(json.dumps({"req_id": "0fa1", "status": 200}), None, ("no access log that is known",)),
    "nginx, combined": Log(f'{CLF} "-" "curl/8"', None, ("nginx or Apache", LACKS, "$upstream_addr")),
    "nginx, main": Log(f'{CLF} "-" "curl/8" "10.1.1.1"', None, ("nginx or Apache", LACKS, "$upstream_addr")),
    "Apache, combined": Log(
        f'10.0.0.2 - frank {TIME} "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://shop/start.html" "Mozilla/4.08"', None,
        ("nginx or Apache", "Apache's log names no retries"),
    ),
    "Apache, common": Log(CLF, None, ("nginx or Apache", "$upstream_addr")),
    "Traefik, CLF": Log(
        f'{CLF} "-" "-" 2 "shop@kubernetes" "http://{POD}" 1ms', None, ("look like traefik", "RetryAttempts 0", NOTHING)
    ),
    "Traefik, JSON": Log(
        json.dumps({"DownstreamStatus": 200, "RetryAttempts": 0, "RouterName": "shop@kubernetes"}), None,
        ("look like traefik", "RetryAttempts 0", NOTHING),
    ),
    "Caddy": Log(caddy(), None, ("look like caddy", "Caddy does not log how often", NOTHING)),
    "Caddy, no header in its answer": Log(caddy(resp_headers={}), None, ("look like caddy", NOTHING)),
    "Caddy, with its count": Log(caddy(retries=0), None, ("look like caddy", "a 0 proves nothing", NOTHING)),
    "Envoy, its default": Log(
        f'{ENVOY} 0 61 4 3 "-" "curl/8" "0fa1" "shop" "{POD}"', None,
        ("look like envoy", LACKS, "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "preserve_external_request_id"),
    ),
    "Istio, its default": Log(
        f'{ENVOY} via_upstream - "-" 0 61 4 3 "-" "curl/8" "0fa1" "shop" "{POD}" outbound|80||web - - - - -', None,
        ("look like envoy", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ),
    "Envoy, JSON with the count": Log(
        json.dumps({"request_id": "0fa1", "response_flags": "-", "upstream_request_attempt_count": 1}), True,
        ("look like envoy, and say",),
    ),
    "HAProxy, its default": Log(
        "Feb  6 12:12:09 localhost haproxy[14385]: Connect from 10.0.1.2:33312 to 10.0.3.31:8012 (www/HTTP)", None,
        ("look like haproxy", LACKS, "option httplog", "capture request header X-Request-ID"),
    ),
    "HAProxy, option tcplog": Log(
        "haproxy[14387]: 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0", None,
        ("look like haproxy", "option httplog"),
    ),
    "HAProxy, option httplog; its ingress controller": Log(
        f'{HTTPLOG} "GET /health HTTP/1.1"', None, ("look like haproxy", LACKS, "capture request header")
    ),
    "HAProxy, with a captured header": Log(
        f'{HTTPLOG} {{0fa1}} "GET /health HTTP/1.1"', True, ("look like haproxy, and say",)
    ),
    "nothing": Log("", None, ("no access log that is known", "is its access log on")),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
def test_doctor_says_of_each_log_whether_it_is_enough_and_what_to_set(name: str) -> None:
    log = LOGS[name]
    said = doctor._log_line([log.line])
    assert said.ok is log.ok
    assert [word for word in log.words if word not in f"{said.said} {said.hint}"] == []
    assert said.ok or said.hint, "what to do is said"


@pytest.mark.parametrize("name", [name for name, log in LOGS.items() if not log.ok])
def test_a_log_that_is_not_called_readable_never_says_that_a_request_of_ours_was_tried_once(name: str) -> None:
    read = read_line(LOGS[name].line.replace("0fa1", "rp1-7"), "rp1")
    assert read is None or read.tries is None


@pytest.mark.parametrize("name", [name for name, log in LOGS.items() if log.ok and "nowhere" not in name])
def test_a_log_that_is_called_readable_says_it(name: str) -> None:
    read = read_line(LOGS[name].line.replace("0fa1", "rp1-7"), "rp1")
    assert read is not None
    assert read.tries == (2 if "twice" in name else 1)


def test_no_line_is_not_called_readable() -> None:
    said = doctor._log_line([])
    assert (said.ok, said.said[:26]) == (None, "no line in the last minute")


def test_of_two_proxies_logs_the_one_that_says_less_is_named() -> None:
    nginx, traefik = LOGS["ingress-nginx, its default"].line, LOGS["Traefik, CLF"].line
    combined = LOGS["nginx, combined"].line
    for lines in ([nginx, traefik, combined], [combined, traefik, nginx]):
        shape = shape_of(lines)
        assert shape is not None
        assert shape.form.name == "traefik"
    for lines in ([nginx, combined], [combined, nginx]):
        shape = shape_of(lines)
        assert shape is not None
        assert shape.form.name.startswith("nginx or Apache")


@pytest.mark.parametrize(
    ("more", "tries"),
    [
        ({}, None),
        ({"retries": 0}, None),  # Go's HTTP library sends again by itself
        ({"retries": 2}, 3),
        ({"upstream_addr": POD}, None),  # log_append; the last one only
        ({"resp_headers": {}, "retries": 0}, None),
    ],
    ids=str,
)
def test_of_caddys_lines_a_retry_is_read_and_that_there_was_none_never(
    more: dict[str, object], tries: int | None
) -> None:
    read = read_line(caddy(**more), "rp1")
    assert read is not None
    assert (read.request_id, read.format, read.tries, read.good) == ("rp1-7", "caddy", tries, True)


def test_a_caddy_whose_answers_headers_are_filtered_out_is_known() -> None:
    line = {name: value for name, value in json.loads(caddy(upstream_addr=POD)).items() if name != "resp_headers"}
    read = read_line(json.dumps(line), "rp1")
    assert read is not None
    assert (read.format, read.tries) == ("caddy", None)


def test_a_run_advises_the_same_as_doctor() -> None:
    assert "nginx or Apache (combined), which names the caller's id" in advice([LOGS["nginx, combined"].line])
    assert "Caddy does not log how often" in advice([LOGS["Caddy"].line])
