"""Ordering: from the words of the command line to an Order; an option that no drill of it takes is refused."""

from __future__ import annotations

from rollproof.errors import InputError
from rollproof.preflight.planning import Order, named_drills
from rollproof.suites import drill_table

__all__ = ["order_of"]


def order_of(
    drill: str, only: list[str] | None, sha: str, on_fail: str, trial: list[str] | None, production: str,
    under_load: bool, bad: str,
) -> Order:  # fmt: skip
    """What was asked for; InputError for a drill that there is not, and for an option that is of another one."""
    drills = named_drills(drill, only or ())
    given = {"trial": bool(trial), "on-fail": on_fail != "restore", "under-load": under_load, "bad": bool(bad)}
    table = drill_table()
    for option in (option for option, is_given in given.items() if is_given):
        if not any(option in table[name].options for name in drills):
            takers = ", ".join(name for name, one in table.items() if option in one.options)
            raise InputError(f"--{option} is for the {takers} drill, not for {drill}")
    trials = tuple(trial or ())
    return Order(
        drills=drills,
        sha=sha,
        on_fail=on_fail,
        trials=trials,
        mean_production=production,
        under_load=under_load,
        bad=bad,
    )
