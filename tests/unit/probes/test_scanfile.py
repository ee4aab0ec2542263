"""A scanner's file: the three kinds are read, all results are counted, and anything else is the person's mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rollproof.errors import InputError
from rollproof.probes import scanfile
from rollproof.probes.scanfile import read_scan

SARIF = {
    "runs": [{
        "tool": {"driver": {"name": "Checkov"}},
        "results": [
            {"ruleId": "CKV_1", "message": {"text": "bad"}},
            {"ruleId": "CKV_2", "level": "error", "message": {"text": "worse"}, "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": "base/deployment.yaml"}}},
            ]},
        ],
    }],
}  # fmt: skip
LINTER = {
    "Checks": [],
    "Reports": [{
        "Check": "no-anti-affinity", "Diagnostic": {"Message": "no anti-affinity"},
        "Object": {"K8sObject": {"Namespace": "shop", "Name": "web", "GroupVersionKind": {"Kind": "Deployment"}}},
    }],
}  # fmt: skip
TRIVY = {
    "SchemaVersion": 2, "ArtifactName": "ghcr.io/shop/web:aaaaaaa", "ArtifactType": "container_image",
    "Metadata": {"ImageID": "sha256:1"},
    "Results": [{
        "Target": "debian", "Vulnerabilities": [
            {"VulnerabilityID": "CVE-1", "Severity": "LOW", "PkgName": "bash", "Title": "a bug"},
            {"VulnerabilityID": "CVE-2", "Severity": "CRITICAL", "PkgName": "openssl"},
        ],
        "Misconfigurations": [{"ID": "DS-1", "Severity": "HIGH", "Status": "PASS"}, {"ID": "DS-2", "Severity": "HIGH"}],
    }],
}  # fmt: skip


def scan(folder: Path, content: Any) -> scanfile.ScanSeen:
    path = folder / "scan.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_scan(path)


def test_sarif(tmp_path: Path) -> None:
    found = scan(tmp_path, SARIF)
    assert (found.tool, found.total, found.grave) == ("Checkov", 2, 1)
    assert [(one.name, one.level, one.place) for one in found.entries] == [
        ("CKV_2", "error", "base/deployment.yaml"), ("CKV_1", "warning", ""),
    ]  # fmt: skip


def test_kube_linter(tmp_path: Path) -> None:
    found = scan(tmp_path, LINTER)
    assert (found.tool, found.total, found.grave) == ("kube-linter", 1, 1)
    assert found.entries[0].place == "Deployment/shop/web"


def test_trivy(tmp_path: Path) -> None:
    found = scan(tmp_path, TRIVY)
    assert (found.tool, found.image, found.total, found.grave) == ("trivy", "ghcr.io/shop/web:aaaaaaa", 3, 2)
    assert [one.name for one in found.entries] == ["CVE-2", "DS-2", "CVE-1"]


def test_a_clean_image_and_a_scan_of_nothing_look_alike_but_for_the_image(tmp_path: Path) -> None:
    clean = {key: value for key, value in TRIVY.items() if key != "Results"}
    assert scan(tmp_path, clean).scanned
    assert not scan(tmp_path, {"SchemaVersion": 2}).scanned


def test_only_the_gravest_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    many = [{"ruleId": f"R{number}", "level": "note"} for number in range(60)] + [{"ruleId": "X", "level": "error"}]
    found = scan(tmp_path, {"runs": [{"results": many}]})
    assert (found.total, len(found.entries), found.entries[0].name, found.tool) == (61, 50, "X", "a scanner")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON"),
        ("[]", "expected an object"),
        ('{"a": 1}', "none of what is known"),
        ('{"runs": {}}', "none of what is known"),
        ('{"runs": [1]}', "runs must be a list of objects"),
        ('{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [{"Severity": 9}]}]}', "Severity must be a string"),
    ],
)
def test_a_file_of_another_kind(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        scan(tmp_path, content)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"posture\.scan_file .*none.json cannot be read: No such file"):
        read_scan(tmp_path / "none.json")
    with pytest.raises(InputError):
        read_scan(tmp_path)
    monkeypatch.setattr(scanfile, "_SIZE_MAX", 10)
    with pytest.raises(InputError):
        scan(tmp_path, SARIF)
