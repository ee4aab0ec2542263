"""Files for other programs, read by those: workflows by actionlint, target files by taplo, JUnit by Jenkins' schema."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from reports.conftest import the_report

from rollproof.reports.junit import junit_xml
from rollproof.target.schema import schema_text
from tests.readers.tools import ACTIONLINT, go_program, junit_xsd, run, taplo

ROOT = Path(__file__).resolve().parents[2]

# What other readers need and this schema does not know (docs/ci.md): GitLab `file`, Azure and Jenkins the rest.
BEYOND_SCHEMA = {
    "testsuites": {"skipped", "timestamp"},
    "testcase": {"file", "line", "properties"},
}


@pytest.mark.parametrize("workflow", sorted((ROOT / "docs/ci").glob("github-*.yml")), ids=lambda path: path.name)
def test_actionlint_accepts_the_workflow_and_what_it_gives_our_action(workflow: Path, tmp_path: Path) -> None:
    actionlint = go_program(ACTIONLINT)
    text = workflow.read_text()
    assert "example-org/rollproof@v0" in text
    shutil.copy(ROOT / "action.yml", tmp_path)
    own = tmp_path / ".github/workflows/own.yml"
    own.parent.mkdir(parents=True)
    run("git", "init", "--quiet", tmp_path)
    # As an action of the same repository, actionlint reads its inputs and outputs; of another it cannot.
    for changed in (text, text.replace("example-org/rollproof@v0", "./")):
        own.write_text(changed)
        assert run(actionlint, "-no-color", cwd=tmp_path) == (0, "")
    own.write_text(text.replace("example-org/rollproof@v0", "./").replace("target:", "targett:"))
    code, said = run(actionlint, "-no-color", cwd=tmp_path)
    assert code == 1
    assert 'input "targett" is not defined' in said
    assert 'missing input "target"' in said


def test_taplo_accepts_our_target_files_by_our_schema(tmp_path: Path) -> None:
    checker = taplo()
    schema = tmp_path / "target.schema.json"
    schema.write_text(schema_text())
    targets = sorted((ROOT / "targets").glob("*.toml"))
    code, said = run(checker, "lint", "--schema", schema.as_uri(), *targets)
    assert code == 0, said


@pytest.mark.parametrize(("right", "wrong", "reason"), [
    ("[app]\n", '[app]\nbase_urll = "x"\n', "'base_urll' was unexpected"),
    ("schema = 1\n", 'schema = "one"\n', '"one" is not of type "integer"'),
    ('name = "sandbox"\n', "", '"name" is a required property'),
])  # fmt: skip
def test_taplo_finds_a_mistake_by_the_directive_in_the_file(
    tmp_path: Path, right: str, wrong: str, reason: str
) -> None:
    checker = taplo()
    (tmp_path / "target.schema.json").write_text(schema_text())
    text = (ROOT / "targets/sandbox.toml").read_text()
    assert right in text
    path = tmp_path / "sandbox.toml"
    path.write_text(text.replace(right, wrong, 1))
    code, said = run(checker, "lint", path)
    assert code == 1
    assert reason in said


def test_junit_keeps_to_the_schema_of_jenkins_xunit_but_for_what_other_readers_need() -> None:
    xmlschema = pytest.importorskip("xmlschema", reason="pip could not install it: make test-readers")
    schema = xmlschema.XMLSchema(junit_xsd())
    document = Xml.fromstring(junit_xml(the_report()))  # noqa: S314 - our own text
    assert not schema.is_valid(document), "the schema has learnt our attributes: say so in docs/ci.md"
    for element in document.iter():
        for name in BEYOND_SCHEMA.get(element.tag, ()):
            element.attrib.pop(name, None)
            for child in element.findall(name):
                element.remove(child)
    assert [error.reason for error in schema.iter_errors(document)] == []
