"""Scanreport: a scanner's report of one image: of which image it says it is, when it was made, and the gravest results.

Trivy's JSON (SchemaVersion 2; fields as in Trivy 0.74.0, pkg/types/report.go) and SARIF 2.1.0 of any scanner; which
image a SARIF file is of only Trivy says (run properties, pkg/report/sarif.go), and when it was made it does not. Read
as it lies there: no scanner is started, and what the scanner was told to leave out (--severity) no report says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rollproof.core.outside import Outside
from rollproof.core.pipeline import SEVERITIES, ReportSeen, ResultSeen
from rollproof.errors import InputError
from rollproof.probes.scanfile import read_document

__all__ = ["read_report"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KEPT = 20
_TEXT_MAX = 120
_RANKED = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_IMAGE = "container_image"
_FOUND = (
    ("Vulnerabilities", "VulnerabilityID"),
    ("Misconfigurations", "ID"),
    ("Secrets", "RuleID"),
    ("Licenses", "Name"),
)
_OF_LEVEL = {"error": "HIGH", "warning": "MEDIUM", "note": "LOW"}  # where no rule says more
_OF_SCORE = ((9.0, "CRITICAL"), (7.0, "HIGH"), (4.0, "MEDIUM"), (0.1, "LOW"))  # GitHub's of security-severity


def read_report(path: Path) -> ReportSeen:
    """What a report says. InputError, with what was expected, if it cannot be read or is of another kind."""
    who = f"pipeline.scan_file {path}"
    document = read_document(path, who)
    if document.value.get("runs") is not None:  # an empty list is one, of a scanner that did not run
        return _of_sarif(document)
    if document.integer("SchemaVersion"):
        return _of_trivy(document)
    message = f"{who} is none of what is known: Trivy's JSON (`SchemaVersion`), SARIF (`runs`)"
    raise InputError(message, "write it with `trivy image --format json`, or `--format sarif`")


# -- Trivy's JSON ------------------------------------------------------------------------------------------------------


def _of_trivy(document: Outside) -> ReportSeen:
    metadata = document.child("Metadata")
    return _report(
        _trivy_results(document), tool=f"Trivy {document.child('Trivy').text('Version')}".strip(),
        artifact=document.text("ArtifactName"), kind=document.text("ArtifactType"),
        config=_digest(metadata.text("ImageID")), digests=_digests(metadata.texts("RepoDigests")),
        platform=_platform(metadata.child("ImageConfig")), made_s=document.time_s("CreatedAt"),
        scanned=document.has("Results") or metadata.has("ImageID"),  # Results are left out where there are none
    )  # fmt: skip


def _trivy_results(document: Outside) -> Iterator[ResultSeen]:
    for result in document.objects("Results"):
        for key, name in _FOUND:
            for one in result.objects(key):
                if key == "Misconfigurations" and one.text("Status", "FAIL") != "FAIL":
                    continue
                place = one.text("PkgName") or result.text("Target")
                yield _result(one.text(name), one.text("Severity"), place)


# -- SARIF -------------------------------------------------------------------------------------------------------------


def _of_sarif(document: Outside) -> ReportSeen:
    runs = document.objects("runs")
    said = [run.child("properties") for run in runs]
    tools = [run.child("tool").child("driver") for run in runs]
    names = dict.fromkeys(f"{one.text('name')} {one.text('version')}".strip() for one in tools)
    configs = {_digest(one.text("imageID")) for one in said}
    ended_s = [one.time_s("endTimeUtc") for run in runs for one in run.objects("invocations")]
    return _report(
        (result for run in runs for result in _sarif_results(run)), tool=", ".join(filter(None, names)) or "a scanner",
        artifact=said[0].text("imageName") if said else "", kind=_IMAGE if any(configs) else "",
        config=configs.pop() if len(configs) == 1 else "",
        digests=_digests(text for one in said for text in one.texts("repoDigests")),
        made_s=max((one for one in ended_s if one is not None), default=None), scanned=bool(runs),
    )  # fmt: skip


def _sarif_results(run: Outside) -> Iterator[ResultSeen]:
    rules = {rule.text("id"): rule.child("properties") for rule in run.child("tool").child("driver").objects("rules")}
    for result in run.objects("results"):
        places = [one.child("physicalLocation").child("artifactLocation") for one in result.objects("locations")]
        name = result.text("ruleId") or result.child("rule").text("id")
        yield _result(name, _severity(result, rules.get(name)), places[0].text("uri") if places else "")


def _severity(result: Outside, rule: Outside | None) -> str:
    """Trivy's own word, which is a tag of the rule; else by security-severity; else by level (section 3.27.10)."""
    if rule is not None:
        tags = [tag for tag in rule.texts("tags") if tag in _RANKED]
        if tags:
            return tags[0]
        try:
            score = float(str(rule.value.get("security-severity")))  # a text with a number, by GitHub; or a number
        except ValueError:
            score = 0.0
        for least, severity in _OF_SCORE:
            if score >= least:
                return severity
    return _OF_LEVEL.get(result.text("level", "warning").lower(), "")


# -- both --------------------------------------------------------------------------------------------------------------


def _report(results: Iterator[ResultSeen], **said: object) -> ReportSeen:
    found = sorted(results, key=lambda one: -_RANKED.get(one.severity, -1))
    unranked = sum(not one.severity for one in found)
    return ReportSeen(total=len(found), unranked=unranked, results=tuple(found[:_KEPT]), **said)  # type: ignore[arg-type]


def _result(name: str, severity: str, place: str) -> ResultSeen:
    known = severity.upper() if severity.upper() in _RANKED else ""
    return ResultSeen(name=name[:_TEXT_MAX] or "?", severity=known, place=place[:_TEXT_MAX])


def _platform(config: Outside) -> str:
    parts = (config.text("os"), config.text("architecture"))
    return "/".join(parts) if all(parts) else ""


def _digests(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(digest for text in texts if (digest := _digest(text))))


def _digest(text: str) -> str:
    """The digest in `name@sha256:…` or `sha256:…`; "" if there is none."""
    found = _DIGEST.search(text)
    return found[0] if found else ""
