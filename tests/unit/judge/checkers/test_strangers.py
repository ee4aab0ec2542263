"""A fact that only looks like one of ours changes nothing: the same word by another source, or about something else.

Every history of the golden is told again with a double of each of its facts, later and earlier than all of them, whose
data says the same, or something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from expected_verdicts import histories
from strangers import FAR_S, other

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.judge.checkers import CHECKERS, judge

ABOUT_SOMETHING = {"run", "watch", "drift"}  # sources whose facts are told apart by their subject


def doubles(facts: Facts, change: Callable[[Event], Event | None]) -> Iterator[tuple[Event, ...]]:
    same = tuple(changed for event in facts.events if (changed := change(event)) is not None)
    yield same
    yield tuple(
        replace(event, outcome=Outcome.FAIL, data={key: other(value) for key, value in event.data.items()})
        for event in same
    )


def by_another_source(event: Event) -> Event:
    return replace(event, source="stranger")


def about_something_else(event: Event) -> Event | None:
    if event.source not in ABOUT_SOMETHING or event.what == "gap":  # a watch that was blind may have missed anything
        return None
    return replace(event, subject=f"Stranger/{event.subject}")


def around(facts: Facts, strangers: tuple[Event, ...]) -> Facts:
    """The strangers' facts before all others and once more after them."""
    last = max((event.seq for event in facts.events), default=0)
    late = (
        replace(e, seq=last + n, start_s=e.start_s + FAR_S, end_s=e.end_s + FAR_S) for n, e in enumerate(strangers, 1)
    )
    early = (replace(e, seq=n - len(strangers)) for n, e in enumerate(strangers))
    return replace(facts, events=(*early, *facts.events, *late))


CASES = [(checker, change) for checker in CHECKERS for change in (by_another_source, about_something_else)]
CASES.remove(("watches", about_something_else))  # it counts what was seen, whatever it was about


@pytest.mark.parametrize(("checker", "change"), CASES)
def test_strangers_change_nothing(checker: str, change: Callable[[Event], Event | None]) -> None:
    for name, facts in histories(checker):
        said = judge(facts, (checker,))
        for strangers in doubles(facts, change):
            assert judge(around(facts, strangers), (checker,)) == said, name
