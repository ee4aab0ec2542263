"""The release drill where there is nothing to push: the sha that runs already, and a sha that a pipeline deploys."""

from __future__ import annotations

from pathlib import Path

from lab_user import TARGET, Ended, EnvRepo, Tool, end, is_starved, newest

OVERLAY = "overlays/dev/kustomization.yaml"


def tag(env_repo: EnvRepo) -> str:
    lines = (env_repo.folder / OVERLAY).read_text().splitlines()
    return next(line.split("newTag:")[1].split("#")[0].strip(" \"'") for line in lines if "newTag:" in line)


def test_the_same_sha_again_restarts_the_rollout_and_says_so(tool: Tool, env_repo: EnvRepo) -> None:
    before = env_repo.git("rev-parse", "HEAD")

    ended = tool.sound_drill("release", "--sha", tag(env_repo))

    assert ended.exit_code == 0, ended.output
    assert "restarted" in ended.why("rollout")
    env_repo.git("fetch", "-q", "origin", "main")
    assert env_repo.git("rev-parse", "origin/main") == before, "a restart commits nothing"


def test_observe_proves_what_somebody_else_deploys_and_leaves_it(
    tool: Tool, env_repo: EnvRepo, releases: dict[str, str], tmp_path: Path
) -> None:
    old = tag(env_repo)
    new = releases["third"] if releases["third"] != old else releases["second"]
    target = tmp_path / "observe.toml"
    target.write_text(TARGET.read_text().replace("[release]", '[release]\nmode = "observe"'))
    tool.target = target

    run = tool.start("release", "--sha", new)
    try:
        tool.await_fact("release", "started")
        overlay = env_repo.folder / OVERLAY
        overlay.write_text(overlay.read_text().replace(old, new))
        theirs = env_repo.push(f"pipeline: {new}")
        exit_code = run.wait(timeout=900)
    finally:
        end(run)

    output = (tool.reports.parent / "started.log").read_text()
    ended = Ended(exit_code, output, newest(tool.reports))
    assert exit_code == 0 or is_starved(ended), output  # what was deployed cannot be deployed once more
    assert tool.await_fact("release", "committed")["data"]["commit"] == theirs
    env_repo.git("fetch", "-q", "origin", "main")
    assert env_repo.git("rev-parse", "origin/main") == theirs, "what a pipeline deployed stays"
