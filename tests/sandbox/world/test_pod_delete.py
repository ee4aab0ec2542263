"""SIGKILL right after a pod was taken away, and `rollproof undo`: nothing is left, and the lock is given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from drills import Person
from sandboxes import Sandbox


@pytest.mark.parametrize("fault", ["pod-delete", "pod-evict"])
def test_a_run_that_is_killed_right_after_it_leaves_nothing(sandbox: Callable[..., Sandbox], fault: str) -> None:
    one = sandbox()
    one.up()
    me = Person(one)
    running = me.versions()
    me.killed(fault, when=lambda: me.told("fault", "injected"))
    assert me.holder().startswith(f"{me.folder.name} "), "the killed run holds the lock"
    code, said = me.run("undo", str(me.folder))
    assert code == 0, said
    assert (me.holder(), me.versions()) == ("", running)
    code, said = me.run("undo", str(me.folder))
    assert code == 0, said
