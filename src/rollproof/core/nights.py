"""Night: what of a stored run is compared with other nights; and how nights are grouped. Pure.

Runs are comparable if target, kind of platform and drill are the same. A night that was INCONCLUSIVE says nothing about
the app: it is counted apart, as the harness's own health.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollproof.core.verdict import Number, Result

__all__ = ["FIGURES", "Check", "Group", "Night", "group", "inconclusive_in_a_row"]

# checker -> the number of its verdicts that is followed over the nights; of each, more is worse
FIGURES: Mapping[str, str] = {
    "availability": "outage_ms_upper", "drift": "detect_and_apply_s", "fault": "recovery_s",
    "release": "push_to_proof_s", "rollback": "push_to_proof_s",
}  # fmt: skip


_LIMITS: Mapping[str, str] = {"outage_ms_upper": "budget_ms"}  # figure -> its limit among the numbers, if not limit_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One verdict of a night. name: stable over the nights. figure: the name of the number that is followed, or ""."""

    drill: str
    name: str
    result: Result
    why: str = ""
    figure: str = ""
    value: float | None = None
    numbers: Mapping[str, Number] | None = None

    @property
    def limit(self) -> float | None:
        """What the figure was compared with in that night, in its unit; None if with nothing."""
        found = (self.numbers or {}).get(_LIMITS.get(self.figure, "limit_s"))
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

    @property
    def sound(self) -> bool:
        """PASS or FAIL: it says something about the app."""
        return self.result in (Result.PASS, Result.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One stored run. sha: the version that it brought, or judged."""

    run: str
    target: str
    platform: str
    sha: str
    result: Result
    exit_code: int
    checks: tuple[Check, ...]

    @property
    def of(self) -> str:
        """Whose nights are counted together, for a sentence: the target, its platform, and what was run."""
        what = self.run.partition("-")[2]  # 20260101T020304Z-all
        return self.target + (f" on {self.platform}" if self.platform else "") + (f", {what}" if what else "")


@dataclass(frozen=True, slots=True)
class Group:
    """The nights of one check, the newest last: comparable ones alone."""

    target: str
    platform: str
    drill: str
    name: str
    nights: tuple[tuple[Night, Check], ...]

    @property
    def figures(self) -> Sequence[float]:
        """The figure of each judged night (PASS or FAIL) that has one."""
        return [check.value for _, check in self.nights if check.value is not None and check.sound]

    @property
    def failed(self) -> Sequence[bool]:
        """Of each judged night (PASS or FAIL), whether it failed."""
        return [check.result is Result.FAIL for _, check in self.nights if check.sound]


def group(nights: Iterable[Night]) -> Iterator[Group]:
    """The groups, in the order of the newest night's checks, then older ones."""
    found: dict[tuple[str, str, str, str], list[tuple[Night, Check]]] = {}
    for night in sorted(nights, key=lambda night: night.run, reverse=True):
        for check in night.checks:
            found.setdefault((night.target, night.platform, check.drill, check.name), []).append((night, check))
    return (Group(*key, tuple(reversed(rows))) for key, rows in found.items())


def inconclusive_in_a_row(nights: Iterable[Night]) -> int:
    """How many of the newest nights were INCONCLUSIVE, without one between that was not."""
    count = 0
    for night in sorted(nights, key=lambda night: night.run, reverse=True):
        if night.result is not Result.INCONCLUSIVE:
            break
        count += 1
    return count
