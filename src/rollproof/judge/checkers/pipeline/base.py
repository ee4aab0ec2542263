"""What a leg's judgement is made of: the words that it says, and what it may ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rollproof.core.pipeline import AbsentError, Road, UnknownError
from rollproof.core.pipelinewords import Leg
from rollproof.core.verdict import Result

__all__ = ["Said", "Way", "broken", "judged", "short_platform", "skipped", "sound", "unclear"]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a leg. `end_s`: when it was over (s since 1970), None where that is not known.

    `code` and `hint` are those of the finding of a FAIL.
    """

    result: Result
    why: str
    end_s: float | None = None
    code: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """The road as it was seen, and what is known of the legs before: what was said of them, and when they ended."""

    road: Road
    said: dict[Leg, Said]
    ends: dict[Leg, float]

    @property
    def slack_s(self) -> float:
        """What lies closer together has no known order."""
        return self.road.target.pipeline.clock_slack_s

    def limit_s(self, leg: Leg) -> float | None:
        """How long a leg may take; None where nothing is promised."""
        return self.road.target.pipeline.limits_s.get(leg)


def sound(why: str, end_s: float | None = None) -> Said:
    """As it must be."""
    return Said(Result.PASS, why, end_s)


def broken(code: str, why: str, hint: str, end_s: float | None = None) -> Said:
    """Not as it must be, by positive evidence."""
    return Said(Result.FAIL, why, end_s, code, hint)


def unclear(why: str, end_s: float | None = None) -> Said:
    """Nobody can tell."""
    return Said(Result.INCONCLUSIVE, why, end_s)


def skipped(why: str) -> Said:
    """This target has no such leg."""
    return Said(Result.SKIPPED, why)


def judged(way: Way, judge: Callable[[Way], Said]) -> Said:
    """What `judge` says of a leg; SKIPPED where a place that it asks is absent, INCONCLUSIVE where it was not read."""
    try:
        return judge(way)
    except AbsentError as error:
        return skipped(str(error))
    except UnknownError as error:
        return unclear(f"nothing is known of it: {error}")


def short_platform(platform: str) -> str:
    """Without the variant, which nodes do not name: "linux/arm64"."""
    return "/".join(platform.split("/")[:2])
