"""Is a secret's value somewhere where it must not be? One verdict a place, and one for the placeholders in git.

A value that was found is FAIL, whatever else is unknown. "Not found" needs a search that was whole, and that has found
the canaries which were put into our own copy of the place (docs/secrets.md). What only looks like a secret is a
finding, and FAIL where the target file says so (`secrets.patterns = "must"`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rollproof.core.counts import many
from rollproof.core.facts import Facts
from rollproof.core.secretsearch import Place, Search, known_values, search_of, searched_places
from rollproof.core.verdict import Finding, Number, Result, Verdict

__all__ = ["check"]

_SHOWN = 3
_HINTS = {
    Place.GIT: (
        "change the value where it comes from: each clone keeps it "
        "(`git log --all --find-object=BLOB` names a blob's commits)"
    ),
    Place.OBJECTS: "take it from the Secret by secretKeyRef, and change the value: whoever may read the object knew it",
    Place.EVENTS: "events end after an hour; find who writes it, and change the value",
    Place.APPLICATION: "Argo CD shows this to everybody who may see the Application: change the value",
    Place.CI_LOG: "CI's logs are kept, and read by many: mask it there, and change the value",
    Place.RUN: "rollproof should have hidden it: remove the run folder, report the defect, and change the value",
    Place.LOGS: "logs are kept and sent on: mask it in the app, and change the value",
}


def check(facts: Facts) -> tuple[Verdict, ...]:
    """A verdict for each place; one alone where there was nothing to look for."""
    event, names, unsearchable = known_values(facts)
    evidence = (event.seq,) if event is not None else ()
    if not names:
        lacking = "; ".join(f"{name} {why}" for name, why in unsearchable.items())
        why = f"no value could be looked for{f': {lacking}' if lacking else ''}"
        return (Verdict("secrets", "Secrets", Result.INCONCLUSIVE, why, evidence=evidence),)
    must = facts.plan.target.secrets.patterns == "must"
    found = [_judge(place, search_of(facts, place), len(names), must=must) for place in searched_places(facts)]
    if unsearchable:
        said = "; ".join(f"{name} {why}" for name, why in unsearchable.items())
        why = f"{many(len(unsearchable), 'value')} could not be looked for: {said}"
        found.append(Verdict("secrets", "Secrets/values", Result.INCONCLUSIVE, why, evidence=evidence))
    return (*found, *_placeholders(search_of(facts, "placeholders")))


def _judge(place: Place, search: Search | None, values: int, *, must: bool) -> Verdict:
    subject = f"Secrets/{place}"
    if search is None:
        return Verdict("secrets", subject, Result.INCONCLUSIVE, "it was not searched")
    evidence = (search.event.seq,)
    numbers: dict[str, Number] = {"texts": search.texts, "size_bytes": search.size_bytes, "found": search.found}
    findings: tuple[Finding, ...] = ()
    if search.alike:
        numbers["alike"] = search.alike
        said = f"{many(search.alike, 'value')} like a secret: {_first(search.alike_hits, search.alike)}"
        findings = (Finding("SECRET_ALIKE", said, "look what it is; if it is one, change it where it comes from"),)
    if search.hits:
        why = f"found {many(search.found, 'time')}: {_first(search.hits, search.found)}"
        result, findings = Result.FAIL, (Finding("SECRET_FOUND", why, _HINTS[place]), *findings)
    elif findings and must:
        result, why = Result.FAIL, findings[0].text
    elif why := _why_not_searched(place, search):
        result = Result.INCONCLUSIVE
    else:
        result = Result.PASS
        why = f"{many(values, 'value')} in none of {many(search.texts, 'text')} ({search.size_bytes:,} bytes)"
        why += f"; {search.planted_found} of {many(search.planted, 'planted canary')} found"
    return Verdict("secrets", subject, result, why, numbers=numbers, evidence=evidence, findings=findings)


def _first(hits: Sequence[str], count: int) -> str:
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"{'; '.join(hits[:_SHOWN])}{more}"


def _why_not_searched(place: Place, search: Search) -> str:
    """Why a value that was not found may be there all the same; "" if it cannot."""
    if not search.readable:
        return f"it could not be read: {search.reason}"
    if not search.planted or search.planted_found < search.planted:
        return f"the search found {search.planted_found} of {many(search.planted, 'planted canary')}: it proves nothing"
    if search.alike_planted_found == 0:
        return "the planted canary was not taken for a secret by the patterns: they prove nothing"
    if not search.texts and place is not Place.EVENTS:  # that there are no events now is nothing strange
        return "there was nothing to search"
    return f"not all of it was searched: {search.cut}" if search.cut else ""


def _placeholders(search: Search | None) -> Iterator[Verdict]:
    """Of the form for the Secret that is in git: none of its values may be a live one, however short."""
    if search is None:
        return
    evidence, subject = (search.event.seq,), "Secrets/placeholders"
    if not search.compared:
        why = f"the placeholders could not be compared: {search.reason}"
        yield Verdict("secrets", subject, Result.INCONCLUSIVE, why, evidence=evidence)
    elif search.hits:
        why = f"placeholders in git are the live values: {'; '.join(search.hits)}"
        finding = Finding("PLACEHOLDER_IS_LIVE", why, "put a placeholder there, and change the value")
        yield Verdict("secrets", subject, Result.FAIL, why, evidence=evidence, findings=(finding,))
    elif not search.checked:
        why = "no key of the placeholders is one of the Secrets that were read"
        yield Verdict("secrets", subject, Result.INCONCLUSIVE, why, evidence=evidence)
    else:
        why = f"{many(search.checked, 'placeholder')} in git, none of them the live value"
        yield Verdict("secrets", subject, Result.PASS, why, evidence=evidence)
