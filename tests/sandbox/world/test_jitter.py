"""What a seed varies: when things happen, a little, and the same again for the same seed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollproof_sandbox.defects import DEFECTS, with_defects
from rollproof_sandbox.jitter import BOUNDS_S, with_jitter
from rollproof_sandbox.settings import Settings, Trouble


@pytest.mark.parametrize("name", DEFECTS)
def test_a_seed_varies_when_things_happen_within_bounds_and_does_so_again(name: str) -> None:
    plain = with_defects([name], Settings(seed=3))
    varied = with_jitter(plain)
    assert with_jitter(plain) == varied != with_jitter(replace(plain, seed=4))
    assert with_jitter(replace(plain, seed=0)) == replace(plain, seed=0)
    assert plain.app.start_s < varied.app.start_s <= plain.app.start_s + BOUNDS_S["start"]
    assert plain.cluster.endpoint_lag_s < varied.cluster.endpoint_lag_s
    assert plain.ingress.lag_s < varied.ingress.lag_s <= plain.ingress.lag_s + BOUNDS_S["ingress"]
    assert 0 < varied.actors.later_s <= BOUNDS_S["actor"]


def test_a_trouble_at_its_moment_stays_there_and_others_come_later() -> None:
    at_once, later = Trouble(kind="refuse"), Trouble(kind="refuse", after_s=1.0, for_s=2.0)
    plain = Settings(seed=5)
    plain = replace(plain, ingress=replace(plain.ingress, troubles=(at_once, later)))
    first, second = with_jitter(plain).ingress.troubles
    assert first == at_once
    assert 1.0 < second.after_s <= 1.0 + BOUNDS_S["trouble"]
    assert second == replace(later, after_s=second.after_s)
