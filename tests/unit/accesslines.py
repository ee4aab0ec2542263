"""Access lines: one request of ours as each ingress writes it."""

from __future__ import annotations

import json

ID = "rp1-7"
POD, OTHER = "10.244.1.7:8080", "10.244.2.9:8080"


def nginx(**fields: object) -> str:
    return json.dumps({"id": ID, "status": 200, **fields})


def envoy(**fields: object) -> str:
    """Istio's JSON lines."""
    line = {
        "authority": "shop", "duration": 4, "method": "GET", "path": "/health", "request_id": ID, "response_code": 200,
        "response_flags": "-", "upstream_cluster": "outbound|80||web", "upstream_host": POD, "route_name": "default",
    }  # fmt: skip
    return json.dumps({**line, **fields})


def traefik(**fields: object) -> str:
    line = {
        "DownstreamStatus": 200, "OriginStatus": 200, "RouterName": "shop@kubernetes", "ServiceAddr": POD,
        "ServiceURL": f"http://{POD}", "request_X-Request-Id": ID, "level": "info", "msg": "",
    }  # fmt: skip
    return json.dumps({**line, **fields})


def haproxy(counts: str, status: int = 200) -> str:
    return (
        f"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in shop/pod-1 10/0/30/69/109 {status} 2750 - - ---- {counts} "
        f'0/0 {{{ID}}} "GET /health HTTP/1.1"'
    )


def haproxy_json(**fields: object) -> str:
    line = {"id": ID, "status": 200, "upstream_addr": "10.244.1.7", "backend_name": "shop", "termination_state": "----"}
    return json.dumps({**line, **fields})


def ingress_nginx(address: str, length: str, took: str, status: str) -> str:
    return (
        '10.0.0.2 - - [28/Nov/2026:10:00:00 +0000] "GET /health HTTP/1.1" 200 61 "-" "rollproof" 180 0.004 '
        f"[shop-web-80] [] {address} {length} {took} {status} {ID}"
    )
