"""Check of a scanner's file, where the target file names one: what others have found is said beside our own."""

from __future__ import annotations

from rollproof.core.counts import many
from rollproof.core.posture import DeploymentSeen, ScanSeen
from rollproof.core.posturefacts import Posture
from rollproof.judge.checkers.posture.base import Said, check, finding, nothing, sound, unclear

_SHOWN = 10


@check(
    "scan-file", asks="has the scanner whose file is named found something grave?",
    advised="no result of level error, high or critical",
    why="what a scanner has found is told once, beside what live objects say",
    source="the scanner's own page of the rule; SARIF 2.1.0 section 3.27.10 for levels",
)  # fmt: skip
def scan_file(seen: Posture) -> Said:
    """A file of another image than the one that is declared says nothing of it."""
    if not seen.target.posture.scan_file:
        return nothing("posture.scan_file", "results", "the target file names no scanner's file")
    found, image = seen.view(ScanSeen), _image(seen)
    place, field = f"posture.scan_file of {found.tool}", "results"
    value = f"{many(found.total, 'result')}, {found.grave} grave"
    if not found.scanned:
        return unclear(place, field, value, "the file does not say that anything was scanned")
    if found.image and image and found.image != image:
        return unclear(place, field, value, f"the file is of {found.image}, and {image} is declared")
    if not found.grave:
        return sound(place, field, value)
    shown = [f"{one.name} {one.level} {one.place}: {one.text}" for one in found.entries[: min(_SHOWN, found.grave)]]
    return finding(place, field, value, "; ".join(shown))


def _image(seen: Posture) -> str:
    container = seen.view(DeploymentSeen).container
    return container.image if container else ""


CHECKS = (scan_file,)
