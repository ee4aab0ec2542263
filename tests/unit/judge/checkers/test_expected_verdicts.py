"""Every verdict in full, one small history a line: tests/golden/verdicts/ is all that the checkers can say.

What a result must be is asserted beside this file; here is what is said about it: the sentence, the numbers, the
evidence, the intervals, the findings. A change of a word is a change of the golden, to be read before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from expected_verdicts import histories

from rollproof.core.facts import Facts
from rollproof.core.verdict import Verdict
from rollproof.core.vocabulary import WORDS
from rollproof.judge.checkers import CHECKERS, judge

NOT_THE_JOURNALS = ("drift", "Drift", "written")  # a word that only the journal's own facts have, told by another


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_said(checker: str, golden: Callable[[str, str], None]) -> None:
    lines: list[str] = []
    for name, facts in histories(checker):
        words = {(event.source, event.subject.partition("/")[0], event.what) for event in facts.events}
        unheard_of = {word for word in words if word[2] not in WORDS.get(word[:2], ())} - {NOT_THE_JOURNALS}
        assert not unheard_of, f"nobody records what {name!r} tells of"
        lines.append(f"== {name}")
        for verdict in judge(facts, (checker,)):
            lines += said(verdict, facts)
        lines.append("")
    golden(f"verdicts/{checker}.txt", "\n".join(lines))


def said(verdict: Verdict, facts: Facts) -> Iterator[str]:
    yield f"{verdict.result} {verdict.subject} ({verdict.checker}, {verdict.drill})"
    yield f"  {verdict.why}"
    if verdict.numbers:
        yield "  " + ", ".join(f"{key} {value!r}" for key, value in verdict.numbers.items())
    if verdict.evidence:
        events = {event.seq: event for event in facts.events}
        named = [f"{events[seq].subject.rpartition('/')[2]} {events[seq].what}" for seq in verdict.evidence]
        yield "  because of " + ", ".join(f"{name} #{n}" for name, n in zip(named, verdict.evidence, strict=True))
    for one in verdict.intervals:
        begins, ends = (" to ".join(f"{ns / 1e9:.6f}" for ns in two) for two in (one.begins_ns, one.ends_ns))
        yield f"  ~ {one.kind} {one.lane} from {begins} s, until {ends} s: {one.text}"
    for finding in verdict.findings:
        yield f"  ! {finding.code}: {finding.text}"
        yield f"    -> {finding.hint}"
