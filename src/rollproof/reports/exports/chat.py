"""A run as a message for Slack (Block Kit) or Teams (Adaptive Card). It is printed; sending it is up to the CI.

Limits of the services: Slack 50 blocks, 150 characters of header, 3,000 of a section, and about 13,000 in all, counted
after escaping; Teams about 28 KB of JSON. So only what failed or could not be judged is named, at most ten of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from rollproof.core.counts import many
from rollproof.core.verdict import Result
from rollproof.core.visible import printable
from rollproof.reports.cases import cases
from rollproof.reports.model import Report
from rollproof.reports.words import bottom_line, finding_line, target_line, undo_sentence

__all__ = ["slack", "teams"]

_NAMED_MAX, _LINE_MAX, _HEADER_MAX = 10, 500, 150
_TEAMS_LINE_BYTES = 1_800  # of a line as JSON: 14 of them
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # Slack's three control characters
_SLACK_MARKS = {Result.PASS: ":white_check_mark:", Result.FAIL: ":x:", Result.INCONCLUSIVE: ":grey_question:"}
_TEAMS_COLOURS = {Result.PASS: "Good", Result.FAIL: "Attention", Result.INCONCLUSIVE: "Warning"}


def slack(report: Report) -> str:
    """A message for `chat.postMessage` or an incoming webhook."""
    header = printable(f"{report.result} {report.plan.target.name}", length_max=_HEADER_MAX - 3)
    blocks: list[dict[str, object]] = [{"type": "header", "text": {"type": "plain_text", "text": header}}]
    blocks.append(_section(_mrkdwn(_sentence(report))))
    blocks += [_section(f"{_SLACK_MARKS[result]} {_mrkdwn(line)}") for result, line in _named(report)]
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": _mrkdwn(_foot(report))}]})
    return _json({"text": f"{_mrkdwn(header)}: {_mrkdwn(_sentence(report))}", "blocks": blocks})


def teams(report: Report) -> str:
    """A message with one Adaptive Card for a Teams workflow."""
    head = {
        "type": "TextBlock", "size": "Large", "weight": "Bolder", "wrap": True,
        "color": _TEAMS_COLOURS.get(report.result, "Default"), "text": f"{report.result} {report.plan.target.name}",
    }  # fmt: skip
    lines = [_sentence(report), *(f"{result}: {line}" for result, line in _named(report)), _foot(report)]
    body = [head, *({"type": "TextBlock", "wrap": True, "text": _card_text(line)} for line in lines)]
    card = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": {**card, "body": body}}
    return _json({"type": "message", "attachments": [content]})


def _named(report: Report) -> Iterator[tuple[Result, str]]:
    """What failed, then what could not be judged, each with its first finding."""
    bad = [
        case for result in (Result.FAIL, Result.INCONCLUSIVE) for case in cases(report) if case.verdict.result is result
    ]
    for case in bad[:_NAMED_MAX]:
        verdict = case.verdict
        cause = f" ({finding_line(verdict.findings[0])})" if verdict.findings else ""
        yield verdict.result, _cut(f"{verdict.drill} {case.name}: {verdict.why}{cause}")
    if len(bad) > _NAMED_MAX:
        yield Result.INCONCLUSIVE, f"and {many(len(bad) - _NAMED_MAX, 'more check')}"


def _sentence(report: Report) -> str:
    return _cut(f"{bottom_line(report)} {undo_sentence(report)}".strip())


def _foot(report: Report) -> str:
    return _cut(f"{target_line(report)} · run {report.plan.run_id} · exit {report.exit_code}")


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _cut(text: str) -> str:
    return printable(text, length_max=_LINE_MAX)


def _mrkdwn(text: str) -> str:
    """The text escaped, so that it can make no mention and no link, then cut: Slack counts what was escaped."""
    pieces = [_ESCAPES.get(letter, letter) for letter in text]
    return _fitting(pieces, map(len, pieces), _LINE_MAX)


def _card_text(text: str) -> str:
    """The text cut to what it may take as JSON."""
    return _fitting(text, (len(json.dumps(letter)) - 2 for letter in text), _TEAMS_LINE_BYTES)


def _fitting(pieces: Iterable[str], sizes: Iterable[int], size_max: int) -> str:
    """The first pieces whose sizes together are at most `size_max`; no piece is cut."""
    kept: list[str] = []
    left = size_max
    for piece, size in zip(pieces, sizes, strict=True):
        left -= size
        if left < 0:
            return f"{''.join(kept)}..."
        kept.append(piece)
    return "".join(kept)


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"
