"""F9: each document that code, tests and documents cite is in the repository, and has the section that they name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("src", "lab", "load", "e2e", "chaos", "bench", "tests", "docs", "targets", "reports/README.md", "README.md",
          "CONTRIBUTING.md", "CHANGELOG.md")  # fmt: skip
KINDS = {".py", ".md", ".toml", ".yaml", ".lua", ".go", ".j2", ".conf", ".txt", ".ini"}
OTHERS = ("Makefile", ".ci/run", "pyproject.toml")
DOCUMENT = re.compile(r"(?<![\w/.:\"-])((?:\.{1,2}/)*[\w.-]+(?:/[\w.-]+)*\.md)\b")
SECTION = re.compile(r"\b(docs/[\w-]+\.md) (?:sections? )?(\d+(?:\.\d+)?)")
DECISION = re.compile(r"\bADR (\d{3})\b")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
PATH = re.compile(r"`([\w./-]+(?:\.py|\.md|/))`")
SPOKEN = re.compile(r"`([\w.-]+(?:/[\w.-]+)*(?:\.py|\.md|\.toml|\.j2)|(?:src|tests|docs)(?:/[\w.-]+)*/)`")
ELSEWHERE = {"SUMMARY.md", "faults.md"}  # written by a run; the list of faults whose ids name tests

NOT_YET = {  # the worked examples of CONTRIBUTING.md
    "src/rollproof/faults/pod_delete_last.py", "src/rollproof/judge/checkers/duration.py",
    "chaos/test_pod_delete_last.py",
}  # fmt: skip


def texts() -> Iterator[tuple[Path, str]]:
    for place in PLACES:
        found = [ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*"))
        for path in found:
            if path.suffix in KINDS and path.is_file() and path != Path(__file__):
                yield path, path.read_text(encoding="utf-8", errors="replace")
    for name in OTHERS:
        if (ROOT / name).is_file():
            yield ROOT / name, (ROOT / name).read_text(encoding="utf-8")


@cache
def tracked() -> tuple[str, ...]:
    """Every file and folder of the repository, with a slash before its path, and after a folder's."""
    said = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [Path(line) for line in said.splitlines()]
    return tuple({f"/{path}" for path in paths} | {f"/{folder}/" for path in paths for folder in path.parents})


@cache
def endings() -> frozenset[str]:
    """Every end of a path in the repository that begins after a slash."""
    return frozenset(path[at + 1 :] for path in tracked() for at, sign in enumerate(path) if sign == "/")


def is_there(path: Path, name: str) -> bool:
    """A page may name a file by the end of its path (`core/outcomes.py`), or as it is seen from the page's folder."""
    return (path.parent / name).exists() or name in endings()


def missing(path: Path, text: str) -> Iterator[str]:
    """Citations in the text that lead nowhere."""
    for name in DOCUMENT.findall(text) if ".md" in text else ():
        if name not in ELSEWHERE and not any((base / name).is_file() for base in (ROOT, path.parent, ROOT / "docs")):
            yield name
    for name, section in SECTION.findall(text):
        document = ROOT / name
        if document.is_file() and not re.search(rf"^#+ {re.escape(section)}\b", document.read_text(), re.MULTILINE):
            yield f"{name} {section}"
    for number in DECISION.findall(text):
        if not list((ROOT / "docs" / "adr").glob(f"{number}-*.md")):
            yield f"ADR {number}"
    if path.suffix == ".md" and path.name != "CHANGELOG.md":
        yield from (name for name in SPOKEN.findall(text) if not is_there(path, name) and name not in NOT_YET)
    if path.suffix == ".md":
        for link in LINK.findall(text):
            if not (path.parent / link).exists():
                yield link


@pytest.mark.processes
def test_f9_every_citation_leads_to_a_file_and_its_section() -> None:
    lost = [f"{path.relative_to(ROOT)}: {name}" for path, text in texts() for name in missing(path, text)]
    hint = "a fact that the code rests on goes to docs/, in our own words, with its source; cite that, or the source"
    assert not lost, "\n".join([*lost, hint])


@pytest.mark.parametrize(
    "document", ["docs/architecture.md", "docs/adr/007-layout.md", "src/rollproof_sandbox/README.md"]
)
def test_the_maps_name_what_is_there(document: str) -> None:
    bases = (ROOT, ROOT / "src" / "rollproof", ROOT / "src" / "rollproof_sandbox")
    named = PATH.findall((ROOT / document).read_text(encoding="utf-8"))
    assert len(named) > 5
    assert not [path for path in named if not any((base / path).exists() for base in bases)]


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("see measured.md section 5 and measurement.md", ["measured.md"]),
        ("see docs/argocd.md 1.7 and docs/argocd.md 2.3", []),
        ("see docs/argocd.md 9.9", ["docs/argocd.md 9.9"]),
        ("see docs/nothing.md", ["docs/nothing.md"]),
        ("as ADR 001 and ADR 999 say", ["ADR 999"]),
        ("https://example.org/docs/user-guide/auto_sync.md", []),
        ("[the map](docs/architecture.md) and [nothing](docs/none.png)", ["docs/none.png"]),
    ],
)
def test_f9_what_is_taken_for_a_citation(text: str, lost: list[str]) -> None:
    assert list(missing(ROOT / "README.md", text)) == lost
