"""Retries are counted from the ingress's own lines, and only those of our requests."""

from __future__ import annotations

import json

from rollproof.ingresslog import count_retries


def line(identity: str, upstream: str = "10.0.0.1:80", status: object = 200) -> str:
    return json.dumps({"id": identity, "upstream": upstream, "status": status})


def test_a_retry_that_ended_well_is_masked_and_one_that_did_not_is_only_a_retry() -> None:
    lines = [
        line("rp1-1"),
        line("rp1-2", "10.0.0.9:80, 10.0.0.1:80"),
        line("rp1-3", "10.0.0.9:80, 10.0.0.1:80", "502"),
    ]
    found = count_retries(lines, "rp1-")
    assert (found.lines, found.matched, found.retried, found.masked) == (3, 3, 2, 1)
    assert found.retried_ids == ("rp1-2", "rp1-3")
    assert found.upstreams == {"10.0.0.9:80": 2}


def test_other_peoples_lines_do_not_count() -> None:
    lines = [line("other", "a, b"), "GET / rp1- 200", '{"id": 5}', '{"uri": "/rp1-", "id": "x", "upstream": "a, b"}']
    found = count_retries(lines, "rp1-")
    assert (found.lines, found.matched, found.retried) == (4, 0, 0)


def test_the_list_of_ids_is_bounded() -> None:
    found = count_retries([line(f"rp1-{i}", "a, b") for i in range(80)], "rp1-")
    assert found.retried == 80
    assert len(found.retried_ids) == 50
