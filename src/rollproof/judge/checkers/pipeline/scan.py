"""The leg of the scan: its job has succeeded, and its report is of the image that runs, of before the env commit.

Of the two the target file names both, one or none. A report is bound by digests: what it is not bound to it says
nothing of. The platform matters too: an index has one digest for all of its images, and a scan is of one of them.
"""

from __future__ import annotations

import math
from dataclasses import replace

from rollproof.core.counts import many
from rollproof.core.pipeline import (
    AbsentError,
    DeliverySeen,
    EnvCommitSeen,
    ImageSeen,
    NodesSeen,
    ReportSeen,
    RolloutSeen,
    UnknownError,
    digest_of,
)
from rollproof.core.pipelinesettings import SEVERITIES
from rollproof.core.verdict import WORST_FIRST, Result
from rollproof.judge.checkers.pipeline.base import Said, Way, broken, judged, short_platform, sound, unclear
from rollproof.judge.checkers.pipeline.source import scan_jobs

__all__ = ["scanned"]

_SHOWN = 3
_NO_REPORT = {
    Result.PASS: "; no report says of which image (pipeline.scan_file)",
    Result.SKIPPED: " and no report of it (pipeline.scan_file)",
}


def scanned(way: Way) -> Said:
    """The worse of what the job and the report say; SKIPPED if neither is named."""
    jobs = judged(way, scan_jobs)
    if not way.road.target.pipeline.scan_file:
        return replace(jobs, why=f"{jobs.why}{_NO_REPORT.get(jobs.result, '')}")
    report = judged(way, _report)
    if report.result is Result.SKIPPED:
        return jobs
    report = _in_time(way, report, jobs)
    if jobs.result is Result.SKIPPED:
        return report
    if jobs.result is report.result is Result.PASS:
        return replace(jobs, why=f"{jobs.why}; {report.why}")
    return min(jobs, report, key=lambda said: WORST_FIRST[said.result])


def _report(way: Way) -> Said:
    """Of which image it is, and what is in it."""
    found = way.road.view(ReportSeen)
    if not found.scanned:
        return unclear(f"{_name(found)} does not say that anything was scanned")
    bound = _bound(way, found)
    if bound.result is not Result.PASS:
        return bound
    held = _held_to_limit(way, found)
    return replace(held, why=f"{bound.why}: {held.why}", end_s=found.made_s)


def _in_time(way: Way, report: Said, jobs: Said) -> Said:
    """A report of a scan that was made before the tag was committed."""
    if report.result is not Result.PASS:
        return report
    if report.end_s is None:
        if jobs.result is Result.PASS:
            return report  # the job's own end says it
        why = f"{report.why}; when it was made is not said, and so not whether that was before the tag was committed"
        return unclear(f"{why} (Trivy's JSON says it, its SARIF does not; or name pipeline.actions.scan_jobs)")
    late_s = report.end_s - way.road.view(EnvCommitSeen).committed_s
    if late_s <= 0:
        return replace(report, why=f"{report.why}; made {-late_s:,.0f} s before the tag was committed")
    why = f"{report.why}; it was made {late_s:,.0f} s after the tag was committed"
    if late_s <= way.slack_s:
        return unclear(f"{why}: the clocks may be apart", report.end_s)
    if report.end_s > _looked_s(way) + way.slack_s:
        return unclear(f"{why}, and that was still to come when it was read: the scanner's clock is wrong")
    if jobs.result is Result.PASS:
        return unclear(f"{why}, and the pipeline's own scan ended before: it is the report of another one")
    hint = "let the job that commits the tag need the scan (`needs:`): what it finds is live already"
    return broken("COMMITTED_BEFORE_SCAN", why, hint, report.end_s)


def _looked_s(way: Way) -> float:
    """When the road was read, by our clock."""
    try:
        return way.road.view(DeliverySeen).looked_s
    except (AbsentError, UnknownError):
        return math.inf


# -- of which image ----------------------------------------------------------------------------------------------------


def _bound(way: Way, found: ReportSeen) -> Said:
    """PASS if it is of the image, and of the platform, that each pod runs."""
    name, claimed = _name(found), {found.config, *found.digests} - {""}
    if not claimed:
        what = f" of {found.kind} {found.artifact}" if found.kind and found.artifact else ""
        return unclear(f"{name}{what} names no digest of an image: it is bound to none")
    rollout, image = way.road.view(RolloutSeen), _image(way)
    running = {digest_of(pod.image_id) for pod in rollout.pods}
    if not running or "" in running:
        return unclear("not each pod says by a digest which image it runs")
    one, shown = sorted(running)[0][:19], sorted(claimed)[0][:19]
    known: frozenset[str] = image.digests if image is not None else frozenset()
    of_the_tag_s = running <= known and not claimed & known  # that runs, and the report is of none of its digests
    of_what_came_later = not running & (known | claimed) and bool(claimed & known)  # to which the tag was moved
    if of_the_tag_s or of_what_came_later:
        why = f"{name} is of {found.artifact or 'an image'} ({shown}), and the pods run {one}"
        return broken("SCANNED_ANOTHER_IMAGE", why, "scan the image by the digest that was pushed, and deploy that one")
    if not running <= known and not running <= claimed:
        why = f"{name} is of {shown}, the pods run {one}, and whether these are one image only the registry can say"
        return unclear(f"{why}; it {'names another by that tag' if known else 'was not read (pipeline.registry)'}")
    if running <= known and found.config and found.config not in known:
        why = f"{name} names a digest of the image that runs, and a configuration ({found.config[:19]}) that it has not"
        return unclear(f"{why}: of which of the two it is nobody can say")
    return _of_platform(way, found, image if running <= known else None, running)


def _of_platform(way: Way, found: ReportSeen, image: ImageSeen | None, running: set[str]) -> Said:
    name = f"{_name(found)} is of the image that runs"
    if running == {found.config}:  # a configuration is of one platform
        return sound(name)
    platforms = {short_platform(one) for one in _platforms(found, image)} or {found.platform} - {""}
    if not platforms:
        return unclear(f"{name}, and does not say of which platform (Trivy's JSON does)")
    nodes = way.road.view(NodesSeen).platforms
    if lacking := sorted(set(nodes.values()) - platforms):
        why = f"{name} for {', '.join(sorted(platforms))}, and the nodes of its pods are {', '.join(lacking)}"
        hint = "an index has an image for each platform: scan the nodes' one (trivy image --platform)"
        return broken("SCANNED_ANOTHER_PLATFORM", why, hint)
    if {pod.node for pod in way.road.view(RolloutSeen).pods} - nodes.keys():
        return unclear(f"{name}, for {', '.join(sorted(platforms))}; not each node of its pods says its platform")
    return sound(f"{name}, for {', '.join(sorted(platforms))}")


def _platforms(found: ReportSeen, image: ImageSeen | None) -> list[str]:
    """Of which images of the index it is, by their digests; of the only one where there is one."""
    if image is None:
        return []
    if len(image.platforms) == 1:
        return [image.platforms[0].platform]
    return [one.platform for one in image.platforms if one.config == found.config or one.digest in found.digests]


def _image(way: Way) -> ImageSeen | None:
    try:
        return way.road.view(ImageSeen)
    except (AbsentError, UnknownError):
        return None


# -- what is in it -----------------------------------------------------------------------------------------------------


def _held_to_limit(way: Way, found: ReportSeen) -> Said:
    """Broken if one of its results is graver than `pipeline.scan_severity_max`."""
    limit = way.road.target.pipeline.scan_severity_max
    told = many(found.total, "result")
    if not limit:
        worst = f", the gravest {found.results[0].severity or 'without a severity'}" if found.results else ""
        return sound(f"{told}{worst}; pipeline.scan_severity_max sets no limit")
    above = SEVERITIES[SEVERITIES.index(limit) + 1 :]
    graver = [one for one in found.results if one.severity in above]
    if graver:
        shown = ", ".join(f"{one.name} ({one.severity}, {one.place})" for one in graver[:_SHOWN])
        why = f"{told}, and above {limit} there are {shown}{' and more' if len(graver) > _SHOWN else ''}"
        return broken("SCAN_ABOVE_LIMIT", why, "let the scan fail its job (trivy --exit-code 1 --severity)")
    if found.unranked:
        return unclear(f"{told}, {found.unranked} of them of no known severity, and the limit is {limit}")
    return sound(f"{told}, none above {limit}")


def _name(found: ReportSeen) -> str:
    return f"the report of {found.tool}"
