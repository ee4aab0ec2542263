"""The controller as it runs in the sandbox: with the host's clock and a thread of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rollproof_sandbox.api.store import Change
from rollproof_sandbox.argocd import Controller
from rollproof_sandbox.argocd.agenda import Agenda, SystemClock
from rollproof_sandbox.settings import ArgoCd
from tests.sandbox.argocd.rig import Rig

PATIENCE_S = 60.0


def test_a_drift_is_healed_and_stop_ends_the_thread(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.controller.stop()
    healed = threading.Event()
    controller = Controller(rig.store, ArgoCd(), tmp_path / "env.git")
    controller.start()
    try:

        def hear(change: Change) -> None:
            if change.kind == "ConfigMap" and change.object["data"].get("GREETING") == "hello from dev":
                healed.set()

        rig.drift()
        rig.store.subscribe(hear)
        assert healed.wait(PATIENCE_S)
    finally:
        controller.stop()
    assert "argocd" not in {thread.name for thread in threading.enumerate()}
    controller.stop()  # once more does no harm


def test_an_agenda_does_things_by_their_time_and_not_by_their_coming() -> None:
    agenda, done = Agenda(SystemClock(), failed=pytest.fail), []
    agenda.after(1.0, lambda: done.append("later"))
    agenda.after(1.01, agenda.stop)
    agenda.soon(lambda: done.append("first"))
    agenda.soon(lambda: done.append("second"))
    agenda.work()
    assert done == ["first", "second", "later"]
