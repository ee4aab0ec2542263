"""The target file: the committed one is what the generator gives, and every defect's is one that rollproof takes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rollproof.errors import InputError
from rollproof.target import file as targetfile
from rollproof_sandbox.defects import DEFECTS, with_defects
from rollproof_sandbox.settings import Ports, Settings
from rollproof_sandbox.targetfile import DEFAULT_FOLDER, target_text

COMMITTED = Path(__file__).parents[3] / "targets" / "sandbox.toml"


def test_the_committed_file_is_the_generators() -> None:
    """But for its first line: beside the file of a running sandbox there is no schema for editors."""
    generated = target_text(Settings(), DEFAULT_FOLDER, Settings().ports)
    assert COMMITTED.read_text() == f"#:schema ./target.schema.json\n{generated}"


def test_overrides_go_into_their_sections() -> None:
    text = target_text(Settings(target={"traffic": {"rate_per_s": 2}}), "/f", Ports(api=1, ingress=2, git=3))
    document = tomllib.loads(text)
    assert document["traffic"]["rate_per_s"] == 2
    assert document["traffic"]["baseline_s"] == 3.0
    assert document["app"]["base_url"] == "http://127.0.0.1:2"
    assert document["env_repo"]["url"] == "http://127.0.0.1:3/env.git"


def test_a_section_whose_first_field_is_none_is_left_out() -> None:
    assert "[control]" not in target_text(Settings(target={"control": {"url": None}}), "/f", Ports())


def test_a_section_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(InputError, match="no section 'trafic'"):
        target_text(Settings(target={"trafic": {"rate_per_s": 2}}), "/f", Ports())


@pytest.mark.parametrize("name", DEFECTS)
def test_rollproof_takes_every_defects_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "credentials.env").write_text("GIT_USERNAME=a\nGIT_PASSWORD=b-7c1\n")
    path = tmp_path / "target.toml"
    path.write_text(target_text(with_defects([name], Settings()), str(tmp_path), Ports()))
    assert targetfile.load(path).target.name == "sandbox"
