"""The app's history: the same shas everywhere, and bad releases that are bad in the way their name says."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from lab import apprepo, settings
from lab.steps import LabError

pytestmark = pytest.mark.processes


def test_shas_do_not_depend_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = apprepo.build(tmp_path / "here.git")
    monkeypatch.setenv("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Somebody Else")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert apprepo.build(tmp_path / "there.git") == here


def test_every_release_has_a_short_sha_of_its_own(tmp_path: Path) -> None:
    made = apprepo.build(tmp_path / "app.git")
    assert {"first", "second", "third", "exits-at-sigterm", "wrong-version"} <= set(made)
    assert all(re.fullmatch(r"[0-9a-f]{7}", sha) for sha in made.values())
    assert len(set(made.values())) == len(made)


def test_building_again_replaces_what_a_killed_build_left(tmp_path: Path) -> None:
    (tmp_path / "app.git").mkdir()
    (tmp_path / "app.git" / "HEAD").write_text("half", encoding="utf-8")
    assert len(apprepo.build(tmp_path / "app.git")) == len(apprepo.RELEASES)


def test_what_is_there_whole_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lab status` asks for the releases while `lab up` reads the repository."""
    made = apprepo.build(tmp_path / "app.git")
    before = (tmp_path / "app.git").stat().st_ino
    assert apprepo.build(tmp_path / "app.git") == made
    assert (tmp_path / "app.git").stat().st_ino == before
    monkeypatch.setattr(apprepo, "_AUTHOR", "Somebody Else <else@angelpay.example>")
    assert apprepo.build(tmp_path / "app.git") != made
    assert [path.name for path in tmp_path.iterdir()] == ["app.git"]


def test_of_two_that_build_at_once_the_slower_takes_the_other_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = apprepo.build(tmp_path / "other.git")
    rename = Path.rename

    def is_late(_: Path, target: Path) -> Path:
        rename(tmp_path / "other.git", target)
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(Path, "rename", is_late)
    assert apprepo.build(tmp_path / "app.git") == made


def exported(tmp_path: Path, name: str) -> Path:
    apprepo.build(tmp_path / "app.git")
    folder = tmp_path / name
    folder.mkdir()
    apprepo.export(tmp_path / "app.git", name, folder)
    return folder


def test_an_export_holds_the_files_of_its_release(tmp_path: Path) -> None:
    first, second = exported(tmp_path, "first"), exported(tmp_path, "second")
    assert (first / "docker" / "entrypoint").stat().st_mode & 0o111
    assert "Payments that arrive" not in (first / "public" / "index.php").read_text(encoding="utf-8")
    assert "Payments that arrive" in (second / "public" / "index.php").read_text(encoding="utf-8")


def test_the_good_entrypoint_becomes_supervisor_and_the_bad_one_leaves_at_once(tmp_path: Path) -> None:
    good = (exported(tmp_path, "third") / "docker" / "entrypoint").read_text(encoding="utf-8")
    bad = (exported(tmp_path, "exits-at-sigterm") / "docker" / "entrypoint").read_text(encoding="utf-8")
    assert good.splitlines()[-1].startswith("exec /usr/bin/supervisord")
    assert "trap " in bad
    assert "exec " not in bad


def test_the_release_with_the_wrong_version_does_not_read_the_baked_one(tmp_path: Path) -> None:
    text = (exported(tmp_path, "wrong-version") / "src" / "app.php").read_text(encoding="utf-8")
    assert "VERSION" not in text
    assert "'0ddba11'" in text


def test_an_edit_that_no_longer_fits_the_sources_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = replace(apprepo.RELEASES[1], edits=(apprepo.Edit("src/app.php", "no such text", ""),))
    monkeypatch.setattr(apprepo, "RELEASES", (apprepo.RELEASES[0], stale))
    with pytest.raises(LabError, match=r"release 'second' replaces 'no such text' in src/app.php .* occurs 0 times"):
        apprepo.build(tmp_path / "app.git")


def test_the_lab_target_names_the_good_releases(tmp_path: Path) -> None:
    """A change of the app's sources changes every sha: then targets/lab.toml has to follow."""
    made = apprepo.build(tmp_path / "app.git")
    target = tomllib.loads((settings.REPOSITORY / "targets" / "lab.toml").read_text(encoding="utf-8"))
    assert target["release"]["shas"] == [made["first"], made["second"], made["third"]]
