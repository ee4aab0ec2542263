"""SIGKILL right after a pod was deleted, and `rollproof undo`: nothing is left, and the lock is given back."""

from __future__ import annotations

from collections.abc import Callable

from drills import Person
from sandboxes import Sandbox


def test_a_run_that_is_killed_right_after_the_deletion_leaves_nothing(sandbox: Callable[..., Sandbox]) -> None:
    one = sandbox()
    one.up()
    me = Person(one)
    running = me.versions()
    me.killed("pod-delete", when=lambda: me.told("fault", "injected"))
    assert me.holder().startswith(f"{me.folder.name} "), "the killed run holds the lock"
    code, said = me.run("undo", str(me.folder))
    assert code == 0, said
    assert (me.holder(), me.versions()) == ("", running)
    code, said = me.run("undo", str(me.folder))
    assert code == 0, said
