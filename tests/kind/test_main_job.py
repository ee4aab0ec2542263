"""The main job on the real lab: deploy under load, prove, drift, roll back, report, and leave all as it was."""

from __future__ import annotations

import json

from lab_user import EnvRepo, Tool

DRIFTS = {
    "image", "replicas", "env", "resources", "configmap", "service-selector", "delete-service", "delete-configmap",
    "undeclared-annotation", "void-patch",
}  # fmt: skip


def test_the_whole_drill_passes_and_leaves_everything_as_it_was(tool: Tool, env_repo: EnvRepo) -> None:
    before = env_repo.tree()

    ended = tool.sound_drill("all")

    assert ended.exit_code == 0, ended.output
    checkers = {verdict["checker"] for verdict in ended.verdicts}
    assert checkers >= {
        "availability", "load_soundness", "rollout", "version", "readiness", "release", "drift", "rollback", "undo",
        "watches",
    }  # fmt: skip
    trials = {v["subject"].removeprefix("Drift/") for v in ended.verdicts if v["checker"] == "drift"}
    assert trials == DRIFTS
    assert env_repo.tree() == before
    assert ended.folder is not None
    page = (ended.folder / "report.html").read_text()
    assert "PASS" in page
    assert "http://" not in page.split("<body", 1)[0], "the page must not load anything from elsewhere"
    assert (ended.folder / "junit.xml").is_file()
    assert any((ended.folder / "allure-results").iterdir())

    stored = json.loads((ended.folder / "verdicts.json").read_text())["verdicts"]
    again = tool.run("judge", str(ended.folder))
    assert again.exit_code == 0
    assert json.loads((ended.folder / "verdicts.json").read_text())["verdicts"] == stored
