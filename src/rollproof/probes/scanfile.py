"""Scanfile: the results of a scanner, out of its file: kube-linter's JSON, Trivy's JSON, or SARIF 2.1.0 of any.

Read as it lies there: no scanner is started. A file that is none of these, or too large, is the person's mistake
(InputError). Only the gravest results are kept; all are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rollproof.core.outside import Outside, parsed
from rollproof.core.posture import ScanEntry, ScanSeen
from rollproof.errors import InputError, RunFolderError
from rollproof.store.folderfiles import read_whole

__all__ = ["read_document", "read_scan"]

_SIZE_MAX = 32 * 1024 * 1024
_KEPT = 50
_TEXT_MAX = 160
_RANK = {"critical": 0, "error": 1, "high": 1, "medium": 2, "warning": 2, "low": 3, "note": 4}
_GRAVE = ("critical", "error", "high")


def read_scan(path: Path) -> ScanSeen:
    """The results in a file. InputError, with what was expected, if it cannot be read or is of another kind."""
    who = f"posture.scan_file {path}"
    document = read_document(path, who)
    if document.has("runs"):
        return _scan(_sarif(document), tool=_tool(document))
    if document.has("Reports") or document.has("Checks"):
        return _scan(_kube_linter(document), tool="kube-linter")
    if document.integer("SchemaVersion"):
        image = document.text("ArtifactName") if document.text("ArtifactType") == "container_image" else ""
        scanned = document.has("Results") or document.child("Metadata").has("ImageID")
        return _scan(_trivy(document), tool="trivy", image=image, scanned=scanned)
    message = f"{who} is none of what is known: SARIF (`runs`), kube-linter (`Reports`), Trivy (`SchemaVersion`)"
    raise InputError(message, "write it with `trivy --format json`, `kube-linter lint --format json`, or as SARIF")


def read_document(path: Path, who: str) -> Outside:
    """The JSON object in a file. InputError, which begins with `who`, if there is none."""
    try:
        text = read_whole(path, size_max=_SIZE_MAX)
    except (OSError, RunFolderError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        raise InputError(f"{who} cannot be read: {why}", "name a regular file of at most 32 MiB, or none") from None
    return Outside.of(parsed(text, who, error=InputError), who, error=InputError)


def _scan(entries: Iterator[ScanEntry], *, tool: str, image: str = "", scanned: bool = True) -> ScanSeen:
    found = sorted(entries, key=lambda one: _RANK.get(one.level, len(_RANK)))
    return ScanSeen(
        tool=tool, image=image, scanned=scanned, total=len(found), grave=sum(one.level in _GRAVE for one in found),
        entries=tuple(found[:_KEPT]),
    )  # fmt: skip


def _tool(document: Outside) -> str:
    names = [run.child("tool").child("driver").text("name") for run in document.objects("runs")]
    return ", ".join(dict.fromkeys(name for name in names if name)) or "a scanner"


def _sarif(document: Outside) -> Iterator[ScanEntry]:
    """SARIF 2.1.0 section 3.27: without a level a result is a warning."""
    for run in document.objects("runs"):
        for result in run.objects("results"):
            places = [one.child("physicalLocation").child("artifactLocation") for one in result.objects("locations")]
            yield ScanEntry(
                name=result.text("ruleId") or "?", level=result.text("level", "warning").lower(),
                place=places[0].text("uri") if places else "", text=result.child("message").text("text")[:_TEXT_MAX],
            )  # fmt: skip


def _kube_linter(document: Outside) -> Iterator[ScanEntry]:
    """It has no levels: it calls each of its reports a lint error."""
    for report in document.objects("Reports"):
        item = report.child("Object").child("K8sObject")
        kind = item.child("GroupVersionKind").text("Kind")
        yield ScanEntry(
            name=report.text("Check") or "?", level="error",
            place=f"{kind}/{item.text('Namespace')}/{item.text('Name')}",
            text=report.child("Diagnostic").text("Message")[:_TEXT_MAX],
        )  # fmt: skip


def _trivy(document: Outside) -> Iterator[ScanEntry]:
    """Vulnerabilities and failed misconfigurations; what has none leaves the list out."""
    for result in document.objects("Results"):
        for one in result.objects("Vulnerabilities"):
            yield ScanEntry(
                name=one.text("VulnerabilityID") or "?", level=one.text("Severity", "unknown").lower(),
                place=one.text("PkgName") or result.text("Target"), text=one.text("Title")[:_TEXT_MAX],
            )  # fmt: skip
        for one in result.objects("Misconfigurations"):
            if one.text("Status", "FAIL") == "FAIL":
                yield ScanEntry(
                    name=one.text("ID") or "?", level=one.text("Severity", "unknown").lower(),
                    place=result.text("Target"), text=one.text("Title")[:_TEXT_MAX],
                )  # fmt: skip
