"""What an injection takes away, against each limit of the target file: at it, and one beyond."""

from __future__ import annotations

from typing import Any

import pytest

from rollproof.core.blast import Blast
from rollproof.core.target import Fences

NONE_LEFT = "it takes away all pods of the app at once, and fences.pods_max allows 9"


@pytest.mark.parametrize(
    ("limit", "takes", "said"),
    [
        ({"pods_max": 2}, {"pods": 2}, ""),
        ({"pods_max": 2}, {"pods": 3}, "it takes away 3 pods at once, and fences.pods_max allows 2"),
        ({"pods_max": 0}, {"pods": 0}, ""),
        ({"pods_max": 9}, {"pods": None}, NONE_LEFT),
        ({"nodes_max": 1}, {"pods": 0, "nodes": 1}, ""),
        ({"nodes_max": 1}, {"pods": 0, "nodes": 2}, "it takes away 2 nodes at once, and fences.nodes_max allows 1"),
        ({"fault_s_max": 30.0}, {"pods": 0, "lasts_s": 30.0}, ""),
        ({"fault_s_max": 30.0}, {"pods": 0, "lasts_s": 30.5}, "it may last 30.5 s, and fences.fault_s_max allows 30 s"),
        ({}, {"pods": None, "nodes": 99, "lasts_s": 1e6}, ""),
    ],
)
def test_a_limit_allows_what_is_as_large_as_it(limit: dict[str, Any], takes: dict[str, Any], said: str) -> None:
    assert Blast(**takes).beyond(Fences(namespaces=("shop",), **limit)) == said


def test_each_limit_that_is_exceeded_is_said() -> None:
    fences = Fences(namespaces=("shop",), pods_max=1, nodes_max=1, fault_s_max=1.0)
    assert Blast(pods=2, nodes=2, lasts_s=2.0).beyond(fences).count("; ") == 2
