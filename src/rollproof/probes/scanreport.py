"""Scanreport: a scanner's report of one image: of which image it says it is, when it was made, and the gravest results.

Trivy's JSON (SchemaVersion 2; fields as in Trivy 0.74.0, pkg/types/report.go) and SARIF 2.1.0 of any scanner; which
image a SARIF file is of only Trivy says (run properties, pkg/report/sarif.go), and when it was made it does not. Read
as it lies there: no scanner is started, and what the scanner was told to leave out (--severity) no report says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from rollproof.core.outside import Outside
from rollproof.core.pipeline import ReportSeen, ResultSeen, digest_of
from rollproof.core.pipelinesettings import SEVERITIES
from rollproof.errors import InputError
from rollproof.probes.scanfile import read_document

__all__ = ["read_report"]

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
_NOT_FOUND = ("pass", "notApplicable")  # kinds of results that say that there is no problem
_SCHEMA = 2
_OF_SCORE = ((9.0, "CRITICAL"), (7.0, "HIGH"), (4.0, "MEDIUM"), (0.1, "LOW"))  # GitHub's of security-severity


def read_report(path: Path) -> ReportSeen:
    """What a report says. InputError, with what was expected, if it cannot be read or is of another kind."""
    who = f"pipeline.scan_file {path}"
    document = read_document(path, who)
    if document.value.get("runs") is not None:  # an empty list is one, of a scanner that did not run
        return _of_sarif(document)
    if version := document.integer("SchemaVersion"):
        if version != _SCHEMA:  # its results may be elsewhere, and would not be seen
            raise InputError(f"{who} is of Trivy's SchemaVersion {version}; {_SCHEMA} is known", "or write it as SARIF")
        return _of_trivy(document)
    message = f"{who} is none of what is known: Trivy's JSON (`SchemaVersion`), SARIF (`runs`)"
    raise InputError(message, "write it with `trivy image --format json`, or `--format sarif`")


# -- Trivy's JSON ------------------------------------------------------------------------------------------------------


def _of_trivy(document: Outside) -> ReportSeen:
    metadata = document.child("Metadata")
    return _report(
        _trivy_results(document), tool=f"Trivy {document.child('Trivy').text('Version')}".strip(),
        artifact=document.text("ArtifactName"), kind=document.text("ArtifactType"),
        config=digest_of(metadata.text("ImageID")), digests=_digests(metadata.texts("RepoDigests")),
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
    configs = {digest_of(one.text("imageID")) for one in said}
    ended_s = [one.time_s("endTimeUtc") for run in runs for one in run.objects("invocations")]
    return _report(
        (one for run in runs for one in _sarif_results(run)), scanned=bool(runs) and all(map(_ran, runs)),
        tool=", ".join(filter(None, names)) or "a scanner",
        artifact=said[0].text("imageName") if said else "", kind=_IMAGE if any(configs) else "",
        config=configs.pop() if len(configs) == 1 else "",
        digests=_digests(text for one in said for text in one.texts("repoDigests")),
        made_s=max((one for one in ended_s if one is not None), default=None),
    )  # fmt: skip


def _ran(run: Outside) -> bool:
    """Whether it says that it did: a run that did not has no results, not even an empty list of them (3.14.23).

    Trivy's writer leaves an empty list out, and names the image of what it has scanned.
    """
    ended = [one.flag("executionSuccessful", default=True) for one in run.objects("invocations")]
    listed = run.value.get("results") is not None
    return (listed or run.child("properties").has("imageID")) and all(ended)


def _sarif_results(run: Outside) -> Iterator[ResultSeen]:
    tool = run.child("tool")
    components = [[*one.objects("rules")] for one in (tool.child("driver"), *tool.objects("extensions"))]
    named: defaultdict[str, list[Outside]] = defaultdict(list)
    for rule in (one for rules in components for one in rules):
        named[rule.text("id")].append(rule)
    for result in run.objects("results"):
        if result.text("kind", "fail") in _NOT_FOUND:
            continue
        places = [one.child("physicalLocation").child("artifactLocation") for one in result.objects("locations")]
        name = result.text("ruleId") or result.child("rule").text("id")
        rules = [*named.get(name, named.get(name.rpartition("/")[0], ())), *_numbered(result, components)]
        found = [_severity(result, rule) for rule in rules] or [_of_level(result, None)]
        name = name or next((rule.text("id") for rule in rules), "")
        yield _result(name, max(found, key=_rank), places[0].text("uri") if places else "")


def _numbered(result: Outside, components: list[list[Outside]]) -> list[Outside]:
    """The rule that a result names by its number, in the driver or in an extension (3.27.6, 3.52)."""
    rule = result.child("rule")
    number, where = rule.integer("index", result.integer("ruleIndex", -1)), rule.child("toolComponent")
    rules = components[where.integer("index", -1) + 1 :][:1] if number >= 0 else []
    return rules[0][number : number + 1] if rules else []


def _severity(result: Outside, rule: Outside) -> str:
    """Trivy's own word, which is a tag of the rule; else by security-severity; else by level."""
    properties = rule.child("properties")
    if tags := [tag for tag in properties.texts("tags") if tag in _RANKED]:
        return max(tags, key=_rank)
    try:
        score = float(str(properties.value.get("security-severity")))  # a text with a number, by GitHub; or a number
    except ValueError:
        score = 0.0
    return next((severity for least, severity in _OF_SCORE if score >= least), _of_level(result, rule))


def _of_level(result: Outside, rule: Outside | None) -> str:
    """A result without a level has its rule's; without one there it is a warning, or nothing if it is no failure."""
    usual = rule.child("defaultConfiguration").text("level", "warning") if rule is not None else "warning"
    level = result.text("level", usual if result.text("kind", "fail") == "fail" else "none")
    return _OF_LEVEL.get(level.lower(), "")


# -- both --------------------------------------------------------------------------------------------------------------


def _report(results: Iterator[ResultSeen], **said: object) -> ReportSeen:
    found = sorted(results, key=lambda one: -_rank(one.severity))
    unranked = sum(not one.severity for one in found)
    return ReportSeen(total=len(found), unranked=unranked, results=tuple(found[:_KEPT]), **said)  # type: ignore[arg-type]


def _result(name: str, severity: str, place: str) -> ResultSeen:
    known = severity.upper() if severity.upper() in _RANKED else ""
    return ResultSeen(name=name[:_TEXT_MAX] or "?", severity=known, place=place[:_TEXT_MAX])


def _rank(severity: str) -> int:
    return _RANKED.get(severity, -1)


def _platform(config: Outside) -> str:
    parts = (config.text("os"), config.text("architecture"))
    return "/".join(parts) if all(parts) else ""


def _digests(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(digest for text in texts if (digest := digest_of(text))))
