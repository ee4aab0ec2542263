"""`rollproof rbac` on the real lab: a drill runs under its Role alone, and is refused when any right of it is missing.

The account is made from what the command prints and is logged in with a token of its own; nothing of the
administrator's is left in its kubeconfig. What only looks is looked at in this process: a child for each right would
take longer than the looks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab_user import NAMESPACE, TARGET, Tool, command, kubectl

from rollproof.clients.kube import Kube
from rollproof.core.plan import Plan
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.preflight.checks import Clients, look
from rollproof.preflight.planning import Order, wanted_target
from rollproof.preflight.roles import Rule, Wanted, roles_for
from rollproof.suites import drill_table
from rollproof.target.file import LoadedTarget, load
from tests.changedtext import LAB_OPENED, changed

pytestmark = [pytest.mark.usefixtures("at_rest"), pytest.mark.timeout(900)]

NAME = "rollproof-test-rbac"
KUBECONFIG = 'kubeconfig = "$XDG_STATE_HOME/rollproof/lab/kubeconfig"'
DRILLS = tuple(drill_table())
Objects = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Right:
    """One verb of one rule, and the drill that it is taken from."""

    drill: str
    rule: Rule
    verb: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        return self.rule.namespace, self.rule.group, self.rule.resource, self.verb

    def __str__(self) -> str:
        """As a refusal names it."""
        resource, slash, sub = self.rule.resource.partition("/")
        group = f".{self.rule.group}" if self.rule.group else ""
        where = f"in {self.rule.namespace}" if self.rule.namespace else "(cluster)"
        return f"{self.verb} {resource}{group}{slash}{sub} {where}"

    def is_granted(self, kube: Kube) -> bool:
        resource, _, sub = self.rule.resource.partition("/")
        name = self.rule.names[0] if self.rule.names else ""
        return kube.may(self.verb, resource, self.rule.namespace, group=self.rule.group, subresource=sub, name=name)


def order_of(drill: str) -> Order:
    return Order(drills=(drill,))


def rules_of(drill: str) -> tuple[Rule, ...]:
    return roles_for(order_of(drill), load(TARGET).target, Wanted(name=NAME)).rules


def objects_of(drill: str) -> Objects:
    return roles_for(order_of(drill), load(TARGET).target, Wanted(name=NAME)).objects


def rights() -> dict[str, tuple[Right, ...]]:
    """Every right of every drill once, by the drill that it is taken from; where one needs it that one, not who may."""
    found: dict[tuple[str, ...], Right] = {}
    for drill in DRILLS:
        for right in (Right(drill, rule, verb) for rule in rules_of(drill) for verb in rule.verbs):
            known = found.get(right.place)
            if known is None or (known.rule.optional and not right.rule.optional):
                found[right.place] = right
    return {drill: tuple(one for one in found.values() if one.drill == drill) for drill in DRILLS}


RIGHTS = rights()


def without(objects: Objects, right: Right) -> Objects:
    """The one Role of that right, as if nobody had granted it."""
    (role,) = (
        item for item in deepcopy(objects)
        if "rules" in item and item["metadata"].get("namespace", "") == right.rule.namespace
    )  # fmt: skip
    for rule in role["rules"]:
        if (rule["apiGroups"], rule["resources"]) == ([right.rule.group], [right.rule.resource]):
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != right.verb] or ["none"]
    return [role]


def apply(objects: Objects) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


@contextmanager
def granted(drill: str, folder: Path) -> Iterator[Path]:
    """An account with the rights of that drill; gives the lab's target file, logged in as it."""
    objects = objects_of(drill)
    try:
        apply(objects)
        token = kubectl("-n", NAMESPACE, "create", "token", NAME, "--duration=30m").strip()
        config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        (folder / "kubeconfig").write_text(json.dumps(config))
        changes = {**LAB_OPENED, KUBECONFIG: f'kubeconfig = "{folder / "kubeconfig"}"'}
        (folder / "target.toml").write_text(changed(TARGET.read_text(), changes, where=TARGET.name))
        await_all(drill, load(folder / "target.toml"))
        yield folder / "target.toml"
    finally:
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        kubectl("delete", "-f", "-", "--ignore-not-found", stdin=items)


def looked(drill: str, loaded: LoadedTarget) -> Plan | RollproofError:
    """What a run of the drill would be told before anything is touched."""
    order = order_of(drill)
    with Clients.of(loaded) as clients:
        try:
            return look(order, wanted_target(order, loaded.target), clients, run_id="rbac")
        except RollproofError as error:
            return error


def forbidden(found: Plan | RollproofError) -> list[str]:
    """The faults that are skipped for want of a right."""
    return [one.reason for one in found.skips if "403" in one.reason] if isinstance(found, Plan) else []


@pytest.mark.parametrize("drill", DRILLS)
def test_each_drill_can_be_planned_under_its_role_alone(tmp_path: Path, drill: str) -> None:
    with granted(drill, tmp_path) as target:
        found = looked(drill, load(target))
    assert isinstance(found, Plan), found
    assert forbidden(found) == []


@pytest.mark.parametrize("drill", [drill for drill in DRILLS if RIGHTS[drill]])
def test_without_any_one_right_a_drill_is_refused_or_skipped_before_anything_is_touched(
    tmp_path: Path, drill: str
) -> None:
    wrong: dict[str, str] = {}
    with granted(drill, tmp_path) as target:
        loaded, objects = load(target), objects_of(drill)
        kube = Kube(loaded.target.cluster.context, loaded.target.cluster.kubeconfig)
        for right in RIGHTS[drill]:
            apply(without(objects, right))
            await_review(right, kube, granted=False)
            found = looked(drill, loaded)
            refused = isinstance(found, CannotJudgeError) and str(right) in str(found)
            if not (refused or forbidden(found) or (right.rule.optional and isinstance(found, Plan))):
                wrong[str(right)] = str(found)
            apply([item for item in objects if item["metadata"].get("namespace", "") == right.rule.namespace])
            await_review(right, kube, granted=True)
    assert wrong == {}


def await_all(drill: str, loaded: LoadedTarget) -> None:
    """Until the authorizer has seen all that was granted: a drill that looks before would be refused."""
    kube = Kube(loaded.target.cluster.context, loaded.target.cluster.kubeconfig)
    for rule in rules_of(drill):
        await_review(Right(drill, rule, rule.verbs[0]), kube, granted=True)


def await_review(right: Right, kube: Kube, *, granted: bool, timeout_s: float = 60) -> None:
    """The authorizer follows its own watch of the roles."""
    deadline = time.monotonic() + timeout_s
    while right.is_granted(kube) is not granted:
        assert time.monotonic() < deadline, f"{right}: the authorizer has not seen the change"
        time.sleep(0.05)


def test_the_printed_yaml_can_be_applied() -> None:
    words = command("rbac", "all", "chaos", "--target", str(TARGET), "--name", NAME)
    printed = Tool(Path()).run(*words[3:]).output
    kubectl("apply", "--dry-run=server", "-f", "-", stdin=printed)


@pytest.mark.parametrize("drill", ["pod-evict", "drift", "network-policy"])
def test_a_whole_drill_runs_under_its_role_alone(tool: Tool, tmp_path: Path, drill: str) -> None:
    with granted(drill, tmp_path) as target:
        tool.target = target
        ended = tool.drill(drill)
    assert ended.folder is not None
    assert ended.exit_code in (0, 3), ended.output  # 3: this machine may be too busy for the load generator
    facts = [json.loads(line) for line in (ended.folder / "timeline.jsonl").read_text().splitlines()]
    assert not [fact for fact in facts if "orbidden" in json.dumps(fact)]
    assert any(fact["what"] in ("effect", "restored") for fact in facts)
    assert json.loads((ended.folder / "verdicts.json").read_text())["undo"] in ("clean", "")


def test_a_run_without_a_right_leaves_nothing(tool: Tool, tmp_path: Path) -> None:
    (right,) = (one for one in RIGHTS["pod-delete"] if one.verb == "delete")
    with granted("pod-delete", tmp_path) as target:
        apply(without(objects_of("pod-delete"), right))
        cluster = load(target).target.cluster
        await_review(right, Kube(cluster.context, cluster.kubeconfig), granted=False)
        tool.target = target
        ended = tool.drill("pod-delete")
    assert ended.exit_code == 3
    assert f"permissions are missing: {right}" in ended.output
    assert ended.folder is None
    assert kubectl("-n", NAMESPACE, "get", "lease", "rollproof", "--ignore-not-found", "-o", "name") == ""
