"""Lines that a Traefik 3.7.13 wrote, and how often each request reached a server, as the servers counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rollproof.core.accesslog import advice, read_line, shape_of

REAL = (Path(__file__).parent / "traefik-3.7.13.jsonl").read_text(encoding="utf-8").splitlines()
REACHED = {
    "tried once": 1,
    "a 503, then a 200 of another server, by its retry middleware": 2,
    "a 503 three times": 3,
    "a reused connection closed without an answer, sent again by its HTTP library": 2,
}


@pytest.mark.parametrize(("reached", "line"), list(zip(REACHED.values(), REAL, strict=True)), ids=REACHED)
def test_what_a_real_traefik_writes_is_no_evidence_that_a_request_was_tried_once(reached: int, line: str) -> None:
    found = read_line(line, "rp1")
    assert found is not None
    assert found.tries is None, f"{reached} servers were reached; the line says {json.loads(line)['RetryAttempts']}"
    assert (found.format, found.access) == ("traefik", True)


def test_such_a_log_never_says_it_and_no_setting_is_advised() -> None:
    shape = shape_of(REAL)
    assert shape is not None
    assert (shape.tells, shape.ever) == (False, False)
    assert "Traefik 2 and 3 write RetryAttempts 0" in shape.said
    assert "accessLog" not in advice(REAL)
