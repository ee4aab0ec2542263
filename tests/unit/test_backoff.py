"""Back-off: the schedule of every version line, and what the heal count may be afterwards (argocd.md 1.1 to 1.4)."""

from __future__ import annotations

import math

import pytest

from rollproof.core.backoff import BackOff, CountRule, model

DEFAULT = [0, 2, 6, 18, 54, 162, 300, 300]


@pytest.mark.parametrize(
    ("version", "rule", "gaps"),
    [
        ("v2.10.4", CountRule.NONE, [5] * 8),
        ("v2.14.2", CountRule.NEVER, [0, 2, 6, 18, 54, 162, 162, 162]),  # #20976: the cap was never reached
        ("v3.0.0", CountRule.SYNCED, [0] * 8),
        ("v3.0.5", CountRule.QUIET, DEFAULT),
        ("v3.2.6", CountRule.QUIET, DEFAULT),
        ("v3.3.0", CountRule.REVISION, DEFAULT),
        ("v3.5.1+109ca7c", CountRule.REVISION, DEFAULT),
        ("3.6.0-rc1", CountRule.REVISION, DEFAULT),
    ],
)
def test_each_version_line_has_its_schedule(version: str, rule: CountRule, gaps: list[float]) -> None:
    chosen = model(version)
    assert chosen.known
    assert chosen.rule is rule
    assert [chosen.gap_s(attempts) for attempts in range(8)] == pytest.approx(gaps)


@pytest.mark.parametrize("version", ["", "latest", "sha256:abc"])
def test_an_unreadable_version_is_assumed_and_says_so(version: str) -> None:
    chosen = model(version)
    assert not chosen.known
    assert [chosen.gap_s(attempts) for attempts in range(8)] == pytest.approx(DEFAULT)


def test_late_2_12_may_have_either_schedule() -> None:
    assert not model("v2.12.9").known


def test_settings_override_the_defaults() -> None:
    chosen = model("v3.5.0", start_s=1, factor=2, cap_s=10)
    assert [chosen.gap_s(attempts) for attempts in range(7)] == [0, 1, 2, 4, 8, 10, 10]


def test_a_cap_that_is_a_step_is_reached_and_kept() -> None:
    chosen = model("v3.5.0", cap_s=54)
    assert [chosen.gap_s(attempts) for attempts in range(7)] == pytest.approx([0, 2, 6, 18, 54, 54, 54])


def test_a_factor_of_one_does_not_grow() -> None:
    assert model("v3.5.0", factor=1).gap_s(9) == 2


def test_a_start_of_zero_turns_back_off_off() -> None:
    assert [model("v3.5.0", start_s=0).gap_s(attempts) for attempts in (0, 5)] == [0, 0]
    assert model("v3.5.0", start_s=0, fixed_delay_s=7).gap_s(3) == 7


class TestRemaining:
    def test_the_gap_runs_from_the_last_operation(self) -> None:
        assert BackOff().remaining_s(finished_at_s=100, attempts=3, now_s=104) == pytest.approx(14)

    def test_nothing_remains_after_the_gap(self) -> None:
        assert BackOff().remaining_s(finished_at_s=100, attempts=3, now_s=118) == 0

    def test_nothing_remains_if_nothing_was_ever_synced(self) -> None:
        assert BackOff().remaining_s(finished_at_s=None, attempts=6, now_s=0) == 0

    def test_a_long_quiet_starts_the_count_again_where_the_version_does_so(self) -> None:
        long = {"start_s": 2.0, "cap_s": 900.0}
        quiet = model("v3.2.6", **long)
        assert quiet.remaining_s(finished_at_s=0, attempts=8, now_s=329) == pytest.approx(900 - 329)
        assert quiet.remaining_s(finished_at_s=0, attempts=8, now_s=330) == 0
        assert model("v3.5.1", **long).remaining_s(finished_at_s=0, attempts=8, now_s=330) == pytest.approx(570)


class TestCountsAfterHeal:
    @pytest.mark.parametrize("version", ["v2.14.0", "v3.2.6", "v3.5.1"])
    def test_usually_one_more(self, version: str) -> None:
        assert model(version).counts_after_heal(attempts=3, quiet_s=20) == {4}

    def test_again_one_after_a_long_quiet_on_3_2(self) -> None:
        assert model("v3.2.6").counts_after_heal(attempts=3, quiet_s=340) == {1}

    def test_time_never_starts_it_again_on_3_3_and_later(self) -> None:
        assert model("v3.3.0").counts_after_heal(attempts=3, quiet_s=10_000) == {4}

    @pytest.mark.parametrize(("quiet_s", "waited_s"), [(331, 0), (329, 0), (300, 40)])
    def test_either_where_the_clocks_cannot_tell(self, quiet_s: float, waited_s: float) -> None:
        assert model("v3.2.6").counts_after_heal(attempts=3, quiet_s=quiet_s, waited_s=waited_s) == {1, 4}

    def test_3_0_0_starts_again_whenever_it_was_synced(self) -> None:
        assert 1 in model("v3.0.0").counts_after_heal(attempts=5, quiet_s=1)

    def test_a_version_without_a_count_proves_nothing(self) -> None:
        assert not model("v2.10.0").counts_heals()


@pytest.mark.parametrize(
    ("version", "limit_s", "expected"),
    [
        ("v3.2.6", 5, 1),
        ("v3.2.6", 6, 1),  # a gap of 6 s leaves nothing for detection + apply
        ("v3.2.6", 60, 4),
        ("v3.2.6", 301, math.inf),
        ("v3.0.0", 5, math.inf),
        ("v2.10.0", 5, -1),
        ("v2.10.0", 6, math.inf),
    ],
)
def test_for_which_counts_a_limit_can_be_kept(version: str, limit_s: float, expected: float) -> None:
    assert model(version).keeps_up_to(limit_s) == expected
