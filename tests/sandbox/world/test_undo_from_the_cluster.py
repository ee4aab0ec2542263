"""A run is killed and its folder is gone: `rollproof undo --all --target T` puts all back from the cluster."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from drills import NAMESPACE, Person
from sandboxes import Sandbox

pytestmark = pytest.mark.timeout(240)


def journals(person: Person) -> list[str]:
    items = person.kube.list("ConfigMap", NAMESPACE)["items"]
    return [one["metadata"]["name"] for one in items if one["metadata"]["name"].startswith("rollproof-journal-")]


def test_another_machine_puts_everything_back(sandbox: Callable[..., Sandbox]) -> None:
    one = sandbox()
    one.up()
    me = Person(one)
    one.target.write_text(one.target.read_text() + '\n[journal]\nstore = "cluster"\n')
    tree, running = me.git("main^{tree}"), me.versions()
    me.killed("release", when=lambda: me.told("release", "pushed"))
    assert me.git("main^{tree}") != tree
    name = me.folder.name
    assert len(journals(me)) == 1
    shutil.rmtree(me.reports)

    elsewhere = ("--target", str(one.target), "--reports", str(me.reports.with_name("elsewhere")))
    code, said = me.run("undo", "--all", *elsewhere)
    assert (code, me.git("main^{tree}") != tree) == (3, True), "nobody knows here that the run is dead: its lease runs"
    assert f"journal of run {name} in {NAMESPACE}" in said
    assert "another run holds this target" in said
    lease = me.kube.get("Lease", NAMESPACE, "rollproof")
    me.kube.patch("Lease", NAMESPACE, lease["metadata"]["name"], {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}})

    code, said = me.run("undo", "--all", *elsewhere)
    assert code == 0, said
    assert f"unfinished run {name}: " in said, "the first try has made a folder of it"
    assert (me.git("main^{tree}"), me.versions(), me.holder(), journals(me)) == (tree, running, "", [])
    code, said = me.run("undo", "--all", *elsewhere)
    assert (code, "nothing was left to undo" in said) == (0, True)


def test_a_run_that_ends_leaves_no_journal(sandbox: Callable[..., Sandbox]) -> None:
    one = sandbox()
    one.up()
    me = Person(one)
    one.target.write_text(one.target.read_text() + '\n[journal]\nstore = "cluster"\n')
    code, said = me.drill("drift", "--trial", "configmap")
    assert code == 0, said
    assert (me.holder(), journals(me)) == ("", [])
