"""How well does `rollproof history` find a shift of which it is known? Simulated nights, seeded: docs/history.md.

Each year has 200 nights. From night 150 on figures grow by a factor, or nights fail more often. The very functions of
`rollproof history` are asked each night, with what is known in that night. `python bench/nights.py` prints the tables;
`python bench/nights.py DIR` writes one year as run folders, to look at with `rollproof history DIR --format html`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollproof.core.trends import rank_of, rate_change

YEARS, NIGHTS, SHIFT = 400, 200, 150
FIRST, WITHIN, RATE_WITHIN = 40, 5, 14  # from which night on false alarms count; nights until it must be found
MEDIAN_S, SIGMA = 0.5, 0.25  # heal times on the lab: log-normal
FACTORS = (1.0, 1.25, 1.5, 2.0, 3.0)
RATES = ((0.01, 0.01), (0.01, 0.10), (0.01, 0.30), (0.05, 0.05), (0.05, 0.30))


def figures(seed: int, factor: float) -> list[float]:
    """One year of a figure in seconds."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    grown = [factor if night >= SHIFT else 1.0 for night in range(NIGHTS)]
    return [MEDIAN_S * chance.lognormvariate(0.0, SIGMA) * one for one in grown]


def failures(seed: int, before: float, after: float) -> list[bool]:
    """One year of a check: whether it failed."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    return [chance.random() < (after if night >= SHIFT else before) for night in range(NIGHTS)]


def odd_nights(values: Sequence[float]) -> list[bool]:
    """Of each night, whether it is said to be odd."""
    return [rank_of(value, values[:night]).odd for night, value in enumerate(values)]


def worse_nights(failed: Sequence[bool]) -> list[bool]:
    """Of each night, whether the check is said to fail more often."""
    told = [rate_change(failed[: night + 1]) for night in range(len(failed))]
    return [one is not None and one.worse for one in told]


def share(found: Sequence[bool]) -> str:
    return f"{sum(found) / len(found):.1%}"


def rank_row(factor: float) -> str:
    """How often the shift is found in its first night, in one of the first five; and false alarms before."""
    years = [odd_nights(figures(seed, factor)) for seed in range(YEARS)]
    false = [night for year in years for night in year[FIRST:SHIFT]]
    first = [year[SHIFT] for year in years]
    soon = [any(year[SHIFT : SHIFT + WITHIN]) for year in years]
    return f"| \N{MULTIPLICATION SIGN} {factor:g} | {share(first)} | {share(soon)} | {share(false)} |"


def rate_row(before: float, after: float) -> str:
    """How often a change of the rate is found within two weeks; and false alarms before."""
    years = [worse_nights(failures(seed, before, after)) for seed in range(YEARS)]
    false = [night for year in years for night in year[FIRST:SHIFT]]
    soon = [any(year[SHIFT : SHIFT + RATE_WITHIN]) for year in years]
    return f"| {before:.0%} → {after:.0%} | {share(soon)} | {share(false)} |"


def write_year(folder: Path, seed: int = 7) -> None:
    """One year as run folders: heal times that double and an app that fails more often from night 150 on."""
    begin = datetime(2026, 1, 1, 2, tzinfo=UTC)
    chance = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    heal_s, back_s, failed = figures(seed, 2.0), figures(seed + 1, 1.0), failures(seed, 0.01, 0.2)
    for night in range(NIGHTS):
        run = f"{begin + timedelta(days=night):%Y%m%dT%H%M%SZ}-all"
        blind = chance.random() < 0.03
        _write_night(folder / run, run, f"{night // 12:07x}", [
            ("drift", "drift", "Drift/image", "PASS" if heal_s[night] <= 1.8 else "FAIL",
             {"detect_and_apply_s": round(heal_s[night], 3), "limit_s": 1.8}),
            ("rollback", "rollback", "Rollback/x", "PASS", {"push_to_proof_s": round(30 * back_s[night], 2),
                                                            "limit_s": 120.0}),
            ("availability", "zero-downtime", "Ingress",
             "INCONCLUSIVE" if blind else "FAIL" if failed[night] else "PASS",
             {"outage_ms_upper": 300.0 + 400 * chance.random() if failed[night] else 0.0}),
        ])  # fmt: skip


def _write_night(path: Path, run: str, sha: str, found: Sequence[tuple[str, str, str, str, dict[str, float]]]) -> None:
    path.mkdir(parents=True)
    plan = {"schema": 1, "new_sha": sha, "target": {"name": "staging"}}
    verdicts = [
        {"checker": checker, "drill": drill, "subject": subject, "result": result, "why": "", "numbers": numbers}
        for checker, drill, subject, result, numbers in found
    ]
    results = [result for _, _, _, result, _ in found]
    worst = next((word for word in ("FAIL", "INCONCLUSIVE") if word in results), "PASS")
    document = {"schema": 1, "run": run, "result": worst, "target_kind": "simulated", "verdicts": verdicts}
    (path / "plan.json").write_text(json.dumps(plan))
    (path / "verdicts.json").write_text(json.dumps(document))


def table(head: str, rows: Sequence[object], row: Callable[..., str]) -> str:
    lines = [head, "|" + "---|" * (head.count("|") - 1)]
    return "\n".join([*lines, *(row(*one) if isinstance(one, tuple) else row(one) for one in rows)])


def main() -> None:
    """Print the tables of docs/history.md, or write one year."""
    if len(sys.argv) > 1:
        write_year(Path(sys.argv[1]))
        return
    head = f"| figures grow to | odd in the first night | odd in one of the first {WITHIN} | false: odd nights before |"
    print(table(head, FACTORS, rank_row), end="\n\n")
    head = (
        f'| share of failed nights, before → from night {SHIFT} | "fails more often" within {RATE_WITHIN} nights '
        "| false: nights before on which it was said |"
    )
    print(table(head, RATES, rate_row))


if __name__ == "__main__":
    main()
