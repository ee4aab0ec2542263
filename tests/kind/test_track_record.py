"""The track record's long cases: what rollproof must refuse to judge, and what it undoes after `kill -9`.

Runs in which the harness or the platform was in trouble end with 3. No verdict is ever tried again until it suits. The
defects that the sandbox has too are in test_truth.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab_user import APP, NAMESPACE, EnvRepo, Tool, end, kubectl, patched, settle


class TestInconclusive:
    def test_a_generator_starved_of_cpu(self, tool: Tool) -> None:
        """The whole harness on one core, and a hog of higher priority there: late dispatches are no app failures."""
        with cpu_hog(cpu=os.cpu_count() or 1):
            last = str((os.cpu_count() or 1) - 1)
            ended = tool.drill("zero-downtime", prefix=("taskset", "-c", last))

        assert ended.exit_code == 3
        assert ended.result("load_soundness") == {"INCONCLUSIVE"}
        assert "FAIL" not in {verdict["result"] for verdict in ended.verdicts}

    def test_clean_requests_prove_nothing_without_a_rollout(
        self, tool: Tool, derived_target: Callable[..., Path]
    ) -> None:
        """The git server goes away: 10,000 clean requests, and still no verdict about zero downtime."""
        tool.target = derived_target(
            rate=("rate_per_s = 200", "rate_per_s = 300"), deadline=("deadline_s = 180", "deadline_s = 45")
        )
        drill = tool.start("zero-downtime")
        try:
            tool.await_fact("load", "started")
            with patched(
                "service", "git", "git", {"spec": {"selector": {"away": "yes"}}}, {"spec": {"selector": {"away": None}}}
            ):
                code = drill.wait(timeout=400)
        finally:
            end(drill)
        ended = tool.run("judge", str(newest_of(tool)))
        assert code == 3
        assert ended.exit_code == 3
        assert ended.result("rollout") == {"INCONCLUSIVE"}
        (availability,) = [v for v in ended.verdicts if v["checker"] == "availability"]
        assert availability["result"] == "INCONCLUSIVE"
        assert availability["numbers"]["requests"] >= 10_000
        assert availability["numbers"]["failures"] == 0


class TestUndoAfterKill:
    def test_killed_right_after_the_push(self, tool: Tool, env_repo: EnvRepo) -> None:
        before = env_repo.tree()
        drill = tool.start("zero-downtime")
        tool.await_fact("release", "pushed")
        end(drill, signal.SIGKILL)
        assert env_repo.tree() != before, "the deploy was pushed before the kill"

        undone = tool.run("undo", str(newest_of(tool)))

        assert undone.exit_code == 0
        assert env_repo.tree() == before
        settle(env_repo.git("rev-parse", "origin/main"))

    def test_killed_right_after_the_drift(self, tool: Tool) -> None:
        off = {"spec": {"syncPolicy": {"automated": {"selfHeal": False}}}}
        on = {"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}}
        path = "jsonpath={.data}"
        with patched("application", APP, "argocd", off, on):
            before = kubectl("-n", NAMESPACE, "get", "configmap", "angelpay-config", "-o", path)
            drill = tool.start("drift", "--trial", "configmap")
            tool.await_fact("drift", "injected")
            end(drill, signal.SIGKILL)
            assert kubectl("-n", NAMESPACE, "get", "configmap", "angelpay-config", "-o", path) != before

            undone = tool.run("undo", str(newest_of(tool)))

            assert undone.exit_code == 0
            assert kubectl("-n", NAMESPACE, "get", "configmap", "angelpay-config", "-o", path) == before

    def test_killed_right_after_the_deletion_of_an_object(self, tool: Tool) -> None:
        off = {"spec": {"syncPolicy": {"automated": {"selfHeal": False}}}}
        on = {"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}}
        get = ("-n", NAMESPACE, "get", "configmap", "angelpay-config", "--ignore-not-found", "-o")
        wanted = "jsonpath={.data}{.metadata.labels}"
        with patched("application", APP, "argocd", off, on):
            before = kubectl(*get, wanted)
            drill = tool.start("drift", "--trial", "delete-configmap")
            tool.await_fact("drift", "injected")
            end(drill, signal.SIGKILL)
            assert kubectl(*get, "name") == ""

            undone = tool.run("undo", str(newest_of(tool)))

            assert undone.exit_code == 0
            assert kubectl(*get, wanted) == before

    def test_killed_right_after_the_lock(self, tool: Tool, env_repo: EnvRepo) -> None:
        """The watches are calibrated on the Lease, so it is there then; the first change comes seconds later."""
        head = env_repo.git("rev-parse", "origin/main")
        get = ("-n", NAMESPACE, "get", "lease", "rollproof", "--ignore-not-found", "-o")
        drill = tool.start("zero-downtime")
        tool.await_fact("run", "calibrated")
        end(drill, signal.SIGKILL)
        holder = kubectl(*get, "jsonpath={.spec.holderIdentity}")
        assert holder.startswith(f"{newest_of(tool).name} ")

        undone = tool.run("undo", str(newest_of(tool)))

        assert undone.exit_code == 0
        assert kubectl(*get, "name") == ""
        env_repo.git("fetch", "-q", "origin", "main")
        assert env_repo.git("rev-parse", "origin/main") == head


def newest_of(tool: Tool) -> Path:
    folder = max((path for path in tool.reports.iterdir() if path.is_dir()), key=lambda path: path.name)
    assert (folder / "plan.json").is_file()
    return folder


@contextlib.contextmanager
def cpu_hog(cpu: int) -> Iterator[None]:
    """60 of every 100 ms of one core, at the highest real-time priority that the kernel grants."""
    code = (
        "import os, time\n"
        f"os.sched_setaffinity(0, {{{cpu - 1}}})\n"
        "try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(90))\n"
        "except PermissionError: os.nice(-20)\n"
        "end = time.monotonic() + 300\n"
        "while time.monotonic() < end:\n"
        "    stop = time.monotonic() + 0.06\n"
        "    while time.monotonic() < stop: pass\n"
        "    time.sleep(0.04)\n"
    )
    hog = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.2)
        assert hog.poll() is None, "the hog did not start"
        yield
    finally:
        hog.kill()
        hog.wait()
