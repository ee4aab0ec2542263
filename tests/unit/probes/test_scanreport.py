"""A scanner's report of an image: what Trivy 0.74.0 writes as JSON and as SARIF, and what others write as SARIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rollproof.core.outside import timestamp_s
from rollproof.core.pipeline import ReportSeen
from rollproof.errors import InputError, RollproofError
from rollproof.probes.scanreport import read_report

INDEX, CONFIG = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
IMAGE = "ghcr.io/shop/web"
TRIVY: dict[str, Any] = {
    "SchemaVersion": 2, "Trivy": {"Version": "0.74.0"}, "CreatedAt": "2026-11-28T10:00:00.123456789Z",
    "ArtifactName": f"{IMAGE}:aaaaaaa", "ArtifactType": "container_image",
    "Metadata": {
        "ImageID": CONFIG, "RepoTags": [f"{IMAGE}:aaaaaaa"], "RepoDigests": [f"{IMAGE}@{INDEX}"],
        "ImageConfig": {"architecture": "arm64", "os": "linux"},
    },
    "Results": [
        {"Target": "debian", "Class": "os-pkgs", "Vulnerabilities": [
            {"VulnerabilityID": "CVE-1", "Severity": "LOW", "PkgName": "bash"},
            {"VulnerabilityID": "CVE-2", "Severity": "CRITICAL", "PkgName": "openssl"},
        ]},
        {"Target": "Dockerfile", "Misconfigurations": [
            {"ID": "DS-1", "Severity": "HIGH", "Status": "PASS"},
            {"ID": "DS-2", "Severity": "MEDIUM", "Status": "FAIL"},
        ]},
        {"Target": "/app/.env", "Secrets": [{"RuleID": "aws", "Severity": "HIGH", "Match": "never kept"}]},
        {"Target": "x", "Licenses": [{"Name": "AGPL", "Severity": "", "PkgName": "y"}]},
    ],
}  # fmt: skip


def rule(name: str, severity: str, score: str | float) -> dict[str, Any]:
    tags = ["vulnerability", "security", severity] if severity else []
    return {"id": name, "properties": {"tags": tags, "security-severity": score}}


def result(name: str, level: str = "error") -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": "shop/web"}}}
    return {"ruleId": name, "level": level, "message": {"text": "never kept"}, "locations": [place]}


SARIF: dict[str, Any] = {
    "version": "2.1.0",
    "runs": [{
        "tool": {"driver": {"name": "Trivy", "version": "0.74.0", "rules": [
            rule("CVE-1", "CRITICAL", "9.5"), rule("CVE-2", "HIGH", "9.8"), rule("X-3", "", "4.2"),
            rule("X-4", "", 7.5),
        ]}},
        "properties": {"imageName": f"{IMAGE}:aaaaaaa", "imageID": CONFIG, "repoDigests": [f"{IMAGE}@{INDEX}"]},
        "results": [
            result("CVE-1"), result("CVE-2"), result("X-3"), result("X-4"), result("Y", "note"), result("Z", "none"),
        ],
    }],
}  # fmt: skip


def read(folder: Path, content: Any) -> ReportSeen:
    path = folder / "report.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_report(path)


def test_the_json_of_trivy_says_which_image_of_which_platform_and_when(tmp_path: Path) -> None:
    found = read(tmp_path, TRIVY)
    assert (found.tool, found.artifact, found.kind) == ("Trivy 0.74.0", f"{IMAGE}:aaaaaaa", "container_image")
    assert (found.config, found.digests, found.platform) == (CONFIG, (INDEX,), "linux/arm64")
    assert found.made_s == pytest.approx(timestamp_s("2026-11-28T10:00:00Z"), abs=1)
    assert [(one.name, one.severity, one.place) for one in found.results] == [
        ("CVE-2", "CRITICAL", "openssl"), ("aws", "HIGH", "/app/.env"), ("DS-2", "MEDIUM", "Dockerfile"),
        ("CVE-1", "LOW", "bash"), ("AGPL", "", "y"),
    ]  # fmt: skip
    assert (found.total, found.unranked) == (5, 1)
    assert "never kept" not in repr(found)


def test_trivy_leaves_results_out_where_there_are_none_and_the_image_where_nothing_was_scanned(tmp_path: Path) -> None:
    clean = {key: value for key, value in TRIVY.items() if key != "Results"}
    assert (read(tmp_path, clean).scanned, read(tmp_path, clean).total) == (True, 0)
    nothing = {"SchemaVersion": 2, "ArtifactName": "x", "ArtifactType": "container_image"}
    assert read(tmp_path, nothing).scanned is False
    archive = {**TRIVY, "Metadata": {**TRIVY["Metadata"], "RepoDigests": None}}
    assert (read(tmp_path, archive).digests, read(tmp_path, archive).config) == ((), CONFIG)
    folder = read(
        tmp_path, {"SchemaVersion": 2, "ArtifactName": ".", "ArtifactType": "filesystem", "Results": [{"Target": "x"}]}
    )
    assert (folder.kind, folder.config, folder.digests, folder.scanned) == ("filesystem", "", (), True)


def test_the_sarif_of_trivy_says_the_image_and_neither_platform_nor_time(tmp_path: Path) -> None:
    found = read(tmp_path, SARIF)
    assert (found.tool, found.kind, found.config, found.digests) == (
        "Trivy 0.74.0",
        "container_image",
        CONFIG,
        (INDEX,),
    )
    assert (found.platform, found.made_s) == ("", None)
    assert [(one.name, one.severity) for one in found.results] == [
        ("CVE-1", "CRITICAL"), ("CVE-2", "HIGH"), ("X-4", "HIGH"), ("X-3", "MEDIUM"), ("Y", "LOW"), ("Z", ""),
    ]  # fmt: skip
    assert found.results[0].place == "shop/web"


def test_sarif_of_another_scanner_is_bound_to_nothing(tmp_path: Path) -> None:
    run = {
        "tool": {"driver": {"name": "Grype"}}, "invocations": [{"endTimeUtc": "2026-11-28T10:00:00Z"}],
        "properties": {"repoDigests": None}, "results": [{"rule": {"id": "R"}}],
    }  # fmt: skip
    found = read(tmp_path, {"runs": [run]})
    assert (found.tool, found.kind, found.config, found.digests) == ("Grype", "", "", ())
    assert found.made_s == timestamp_s("2026-11-28T10:00:00Z")
    assert [(one.name, one.severity) for one in found.results] == [("R", "MEDIUM")]
    assert read(tmp_path, {"runs": []}).scanned is False


def severities(folder: Path, tool: dict[str, Any], *results: dict[str, Any]) -> list[str]:
    return [one.severity for one in read(folder, {"runs": [{"tool": tool, "results": [*results]}]}).results]


def test_a_scan_that_failed_or_has_no_list_of_results_says_nothing(tmp_path: Path) -> None:
    """A crashed scanner's empty list was "0 results, none above the limit": PASS."""
    tool = {"driver": {"name": "Grype"}}
    crashed = {"tool": tool, "invocations": [{"executionSuccessful": False}], "results": []}
    sound = {"tool": tool, "invocations": [{"executionSuccessful": True}], "results": []}
    assert read(tmp_path, {"runs": [sound]}).scanned is True
    for runs in ([crashed], [sound, crashed], [{"tool": tool}], [{"tool": tool, "results": None}]):
        assert read(tmp_path, {"runs": runs}).scanned is False
    clean = {key: value for key, value in SARIF["runs"][0].items() if key != "results"}  # an empty list is left out
    assert read(tmp_path, {"runs": [clean]}).scanned is True


def test_a_rule_is_found_however_a_result_names_it(tmp_path: Path) -> None:
    """Each of these was a warning, and so below a limit of MEDIUM."""
    rules = [rule("A", "", "3.0"), rule("B", "", "9.9")]
    driver, extended = {"driver": {"rules": rules}}, {"driver": {}, "extensions": [{}, {"rules": rules}]}
    assert severities(tmp_path, driver, {"ruleIndex": 1}) == ["CRITICAL"]
    assert severities(tmp_path, driver, {"rule": {"index": 1}}) == ["CRITICAL"]
    assert severities(tmp_path, driver, {"ruleId": "B/of-a-kind"}) == ["CRITICAL"]
    assert severities(tmp_path, extended, {"ruleId": "B"}) == ["CRITICAL"]
    assert severities(tmp_path, extended, {"rule": {"index": 1, "toolComponent": {"index": 1}}}) == ["CRITICAL"]
    twice = {"driver": {"rules": [*rules[::-1], rule("B", "LOW", "")]}}
    assert severities(tmp_path, twice, {"ruleId": "B"}) == ["CRITICAL"]
    for strange in ({"ruleIndex": 7}, {"ruleIndex": -1}, {"rule": {"index": 0, "toolComponent": {"index": 9}}}):
        assert severities(tmp_path, driver, strange) == ["MEDIUM"]


def test_a_result_without_a_level_has_its_rule_s(tmp_path: Path) -> None:
    driver = {"driver": {"rules": [{"id": "A", "defaultConfiguration": {"level": "error"}}]}}
    assert severities(tmp_path, driver, {"ruleId": "A"}) == ["HIGH"]
    assert severities(tmp_path, driver, {"ruleId": "A", "level": "note"}) == ["LOW"]
    assert severities(tmp_path, driver, {"ruleId": "A", "kind": "pass"}, {"ruleId": "A", "kind": "review"}) == [""]


def test_results_of_a_schema_that_is_not_known_would_not_be_seen(tmp_path: Path) -> None:
    later = {**TRIVY, "SchemaVersion": 3, "Results": None, "Findings": TRIVY["Results"]}
    with pytest.raises(InputError, match=r"pipeline\.scan_file .* SchemaVersion 3; 2 is known"):
        read(tmp_path, later)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"Reports": []}', '{"runs": 3}', '{"runs": [7]}'])
def test_anything_else_is_refused_by_the_setting_s_name(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"pipeline\.scan_file"):
        read(tmp_path, content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RollproofError, match=r"pipeline\.scan_file .*none.json cannot be read: No such file"):
        read_report(tmp_path / "none.json")
