"""What an error of urllib3's says: no names of the library's objects, which mean nothing to whoever reads it."""

from __future__ import annotations

import inspect

import pytest
import urllib3

from rollproof.clients.exchange import pools_by_scheme, said

POOL = pools_by_scheme()["https"]("127.0.0.1", 6443)
ERRORS = [
    kind
    for kind in vars(urllib3.exceptions).values()
    if inspect.isclass(kind) and issubclass(kind, urllib3.exceptions.PoolError)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_of_a_pool_does_not_name_the_pool(kind: type[urllib3.exceptions.PoolError]) -> None:
    given = {"pool": POOL, "url": "/x", "message": "it was slow", "reason": None, "retries": 0, "conn": None}
    wanted = inspect.signature(kind).parameters
    text = said(kind(**{name: given[name] for name in wanted if name in given}))
    assert text
    assert "Pool" not in text
