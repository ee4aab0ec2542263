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
        ("v2.12.99", CountRule.NONE, [5] * 8),
        ("v2.13.0", CountRule.NEVER, [0, 2, 6, 18, 54, 162, 162, 162]),
        ("v2.13.1", CountRule.NEVER, [0, 2, 6, 18, 54, 162, 162, 162]),
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
    assert chosen.known is (version != "v2.12.99")  # late 2.12 may have either schedule
    assert chosen.rule is rule
    assert [chosen.gap_s(attempts) for attempts in range(8)] == pytest.approx(gaps)


@pytest.mark.parametrize("version", ["", "latest", "sha256:abc"])
def test_an_unreadable_version_is_assumed_and_says_so(version: str) -> None:
    chosen = model(version)
    assert chosen.known is False
    assert chosen.rule is CountRule.REVISION
    assert [chosen.gap_s(attempts) for attempts in range(8)] == pytest.approx(DEFAULT)


@pytest.mark.parametrize(
    ("version", "rule"),
    [
        ("?", CountRule.REVISION),
        ("v2.14.0", CountRule.NEVER),
        ("v3.2.6", CountRule.QUIET),
        ("v3.5.0", CountRule.REVISION),
    ],
)
def test_every_setting_is_kept(version: str, rule: CountRule) -> None:
    words = {"start_s": 1.5, "factor": 2.0, "cap_s": 12.0, "cooldown_s": 7.0, "fixed_delay_s": 4.0}
    assert model(version, **words) == BackOff(rule=rule, known=version != "?", **words)


def test_a_version_that_counts_nothing_has_its_delay_and_no_schedule() -> None:
    assert model("v2.10.0") == BackOff(rule=CountRule.NONE, fixed_delay_s=5.0, start_s=0.0)
    assert model("v2.10.0", fixed_delay_s=7.0, start_s=9.0).gap_s(3) == 7.0


@pytest.mark.parametrize(
    ("settings", "gaps"),
    [
        ({"start_s": 0.0, "fixed_delay_s": 7.0}, [7, 7, 7, 7]),
        ({"start_s": 0.5, "cap_s": 10.0}, [0, 0.5, 1.5, 4.5, 4.5]),
        ({"start_s": 1.0, "cap_s": 10.0}, [0, 1, 3, 9, 9]),
        ({"factor": 1.0}, [0, 2, 2]),
        ({"factor": 0.5}, [0, 2, 2]),
        ({"factor": 1.5, "cap_s": 2.0}, [0, 2, 2]),
        ({"factor": 1.5, "cap_s": 5.0}, [0, 2, 3, 4.5, 4.5]),
        ({"factor": 2.0, "cap_s": 5.0}, [0, 2, 4, 4]),
        ({"cap_s": 486.0}, [0, 2, 6, 18, 54, 162, 486, 486]),  # a cap that is a step is reached
        ({"cap_s": 1.0}, [0, 2, 2]),  # never below the first step
    ],
)
def test_before_3_0_the_step_that_would_pass_the_cap_is_never_taken(
    settings: dict[str, float], gaps: list[float]
) -> None:
    chosen = model("v2.14.2", **settings)
    assert [chosen.gap_s(attempts) for attempts in range(len(gaps))] == pytest.approx(gaps)


def test_a_back_off_that_is_turned_off_keeps_its_cap() -> None:
    assert model("v2.14.2", start_s=0).cap_s == 300.0


@pytest.mark.parametrize(
    ("settings", "gaps"),
    [
        ({"start_s": 0.5, "factor": 2.0, "cap_s": 10.0}, [0, 0.5, 1, 2, 4, 8, 10, 10]),
        ({"start_s": 4.0, "cap_s": 3.0}, [0, 3, 3]),
        ({"factor": 0.5, "cap_s": 1.0}, [0, 1, 1]),
        ({"factor": 1.0, "start_s": 2.0}, [0, 2, 2]),
    ],
)
def test_odd_settings_of_later_versions(settings: dict[str, float], gaps: list[float]) -> None:
    chosen = model("v3.5.0", **settings)
    assert [chosen.gap_s(attempts) for attempts in range(len(gaps))] == pytest.approx(gaps)


def test_a_count_beyond_all_measure_is_no_overflow() -> None:
    assert model("v3.5.0").gap_s(100_000) == 300


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

    def test_after_the_quiet_nothing_is_left_of_a_gap_longer_than_it(self) -> None:
        assert model("v3.2.6", cooldown_s=1).remaining_s(finished_at_s=0, attempts=3, now_s=1.5) == 0

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

    def test_the_clocks_are_two_seconds_apart_at_most(self) -> None:
        quiet = model("v3.2.6")
        assert quiet.counts_after_heal(attempts=3, quiet_s=332) == {1}
        assert quiet.counts_after_heal(attempts=3, quiet_s=331.9) == {1, 4}
        assert quiet.counts_after_heal(attempts=3, quiet_s=328) == {1, 4}
        assert quiet.counts_after_heal(attempts=3, quiet_s=327.5) == {4}

    @pytest.mark.parametrize(("quiet_s", "waited_s"), [(331, 0), (329, 0), (300, 40)])
    def test_either_where_the_clocks_cannot_tell(self, quiet_s: float, waited_s: float) -> None:
        assert model("v3.2.6").counts_after_heal(attempts=3, quiet_s=quiet_s, waited_s=waited_s) == {1, 4}

    def test_3_0_0_starts_again_whenever_it_was_synced(self) -> None:
        assert model("v3.0.0").counts_after_heal(attempts=5, quiet_s=1) == {1, 6}

    def test_a_version_without_a_count_proves_nothing(self) -> None:
        assert not model("v2.10.0").counts_heals()
        assert model("v2.10.0").counts_after_heal(attempts=3, quiet_s=1) == {0, 1, 4}


@pytest.mark.parametrize(
    ("version", "limit_s", "expected"),
    [
        ("v3.2.6", 0, -1),
        ("v3.2.6", 1, 0),
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
