"""SIGKILL right after the first change of each kind, and `rollproof undo`: all is as before.

The drill is killed with all that it started, the moment that its timeline says that the deed was done: nobody was left
to put anything back. Where Argo CD would repair it by itself, it is told not to.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from drills import Person
from sandboxes import Sandbox

Start = Callable[..., Sandbox]


@pytest.fixture
def person(sandbox: Start) -> Callable[..., Person]:
    def before(*words: str) -> Person:
        one = sandbox(*words)
        one.up()
        return Person(one)

    return before


def undone(person: Person) -> str:
    """What `rollproof undo` of the killed run says; it ends with 0, and gives the lock back."""
    assert person.holder().startswith(f"{person.folder.name} "), "the killed run holds the lock"
    code, said = person.run("undo", str(person.folder))
    assert code == 0, said
    assert person.holder() == ""
    return said


def kinds(person: Person) -> list[str]:
    """The journal's entries in their order, before anything is undone; how they went on are lines without a kind."""
    lines = map(json.loads, (person.folder / "undo.jsonl").read_text().splitlines())
    return [line["kind"] for line in lines if "kind" in line]


def test_right_after_the_lock(person: Callable[..., Person]) -> None:
    me = person()
    me.killed("zero-downtime", when=me.holder)  # seconds of baseline lie before its first deed
    assert kinds(me) == ["lease-release"]
    head = me.git("main")
    undone(me)
    assert me.git("main") == head


def test_right_after_the_push_of_a_deploy(person: Callable[..., Person]) -> None:
    me = person()
    tree, running = me.git("main^{tree}"), me.versions()
    me.killed("release", when=lambda: me.told("release", "pushed"))
    assert kinds(me) == ["lease-release", "env-repo-tag"]
    assert me.git("main^{tree}") != tree
    undone(me)
    assert me.git("main^{tree}") == tree
    assert me.versions() == running


def test_right_after_the_push_of_a_revert(person: Callable[..., Person]) -> None:
    """The revert is itself the way back: it is followed to its end, and nothing is pushed on top of it."""
    me = person()
    tree, running = me.git("main^{tree}"), me.versions()
    me.killed("rollback", when=lambda: me.told("rollback", "pushed"))
    assert kinds(me) == ["lease-release", "env-repo-tag"]
    head = me.git("main")
    assert me.versions() - running, "the new version still runs"
    undone(me)
    assert (me.git("main"), me.git("main^{tree}")) == (head, tree)
    assert me.versions() == running


@pytest.mark.parametrize(("trial", "kind"), [("configmap", "field-restore"), ("delete-configmap", "object-restore")])
def test_right_after_a_drift(person: Callable[..., Person], trial: str, kind: str) -> None:
    me = person("--defect", "self-heal-off")
    before = me.config()
    me.killed("drift", "--trial", trial, when=lambda: me.told("drift", "injected"))
    assert kinds(me) == ["lease-release", kind]
    assert me.config() != before
    undone(me)
    assert me.config() == before
