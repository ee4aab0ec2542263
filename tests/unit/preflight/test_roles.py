"""`rollproof rbac`: exactly what the chosen drills need, as few rules as do, each with its reason and its warning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import story
import yaml

from rollproof.core.permission import READING, Permission
from rollproof.core.strongrights import strong_word
from rollproof.core.target import ArgoCd, DriftSettings, FaultSettings, Fences, Ingress, ReleaseSettings, Workload
from rollproof.core.trials import TRIALS
from rollproof.errors import InputError
from rollproof.preflight.permissions import possible_permissions
from rollproof.preflight.planning import Order
from rollproof.preflight.roles import Roles, Rule, Wanted, roles_for, rules_of
from rollproof.suites import drill_table, expand

TARGET = story.target(
    ingress=Ingress(namespace="ingress", selector="app=ingress"),
    release=ReleaseSettings(shas=(story.OLD, story.NEW), image_check="nodes"),
    drift=DriftSettings(trials=tuple(TRIALS), configmap="settings"),
    faults=FaultSettings(database=Workload(kind="Deployment", namespace="database", name="db")),
    fences=Fences(namespaces=("shop", "ingress", "database", "argocd")),
)


def roles(*drills: str, target: Any = TARGET, sha: str = "", **wanted: str) -> Roles:
    return roles_for(Order(drills=drills, sha=sha), target, Wanted(**wanted))


def granted(objects: Iterable[dict[str, Any]]) -> set[tuple[str, str, str, str, str]]:
    """(namespace, group, resource, verb, name) of every Role and ClusterRole."""
    return {
        (item["metadata"].get("namespace", ""), rule["apiGroups"][0], rule["resources"][0], verb, name)
        for item in objects if item["kind"] in ("Role", "ClusterRole")
        for rule in item["rules"] for verb in rule["verbs"] for name in rule.get("resourceNames", [""])
    }  # fmt: skip


def is_covered(permission: Permission, rights: set[tuple[str, str, str, str, str]]) -> bool:
    resource = permission.place.split()[0].partition(".")[0]
    resource = f"{resource}/{permission.subresource}" if permission.subresource and "/" not in resource else resource
    place = (permission.namespace, permission.group, resource, permission.verb)
    return (*place, "") in rights or (bool(permission.name) and (*place, permission.name) in rights)


@pytest.mark.parametrize("drill", drill_table())
def test_every_permission_of_every_drill_is_granted_and_nothing_else(drill: str) -> None:
    needed = [one for one in possible_permissions(TARGET, Order(drills=(drill,)).chosen) if not one.fallback]
    rights = granted(roles(drill).objects)
    assert [str(one) for one in needed if not is_covered(one, rights)] == []
    wanted = {(one.namespace, one.group, one.verb) for one in needed}
    assert {(namespace, group, verb) for namespace, group, _, verb, _ in rights} <= wanted


@pytest.mark.parametrize("drills", [("pod-delete",), ("drift", "database-refused"), tuple(drill_table())])
def test_the_yaml_says_the_same_as_the_objects(drills: tuple[str, ...]) -> None:
    made = roles(*drills)
    assert [*yaml.safe_load_all(made.yaml)] == [*made.objects]


def test_one_role_a_namespace_one_cluster_role_and_who_they_are_bound_to() -> None:
    made = roles("database-refused", "zero-downtime", name="chaos", namespace="tools")
    kinds = [(item["kind"], item["metadata"].get("namespace")) for item in made.objects]
    assert kinds[0] == ("ServiceAccount", "tools")
    assert kinds[1:3] == [("ClusterRole", None), ("ClusterRoleBinding", None)]
    assert [place for kind, place in kinds if kind == "Role"] == ["argocd", "database", "ingress", "shop"]
    subjects = [item["subjects"] for item in made.objects if item["kind"].endswith("Binding")]
    assert len(subjects) == 5
    assert all(one == [{"kind": "ServiceAccount", "name": "chaos", "namespace": "tools"}] for one in subjects)
    assert {item["metadata"]["name"] for item in made.objects} == {"chaos"}


def test_names_restrict_what_can_be_restricted() -> None:
    rights = granted(roles("database-refused", "drift").objects)
    assert ("database", "apps", "deployments/scale", "patch", "db") in rights
    assert ("shop", "apps", "deployments", "patch", "web") in rights
    assert ("shop", "coordination.k8s.io", "leases", "delete", "rollproof") in rights
    assert ("shop", "coordination.k8s.io", "leases", "create", "") in rights
    assert ("shop", "", "services", "create", "") in rights
    assert not [one for one in rights if one[2] == "pods/portforward"], "only where pods/proxy is not granted"


def test_a_verb_on_all_objects_is_not_named_again_for_one() -> None:
    def asked(verb: str, name: str, why: str, *, required: bool = True) -> Permission:
        return Permission(verb=verb, resource="pods", namespace="shop", why=why, name=name, required=required)

    (one,) = rules_of(
        [asked("get", "", "a"), asked("get", "x", "b"), asked("delete", "", "c"), asked("delete", "", "d")]
    )
    assert (one.verbs, one.names, one.reasons) == (("get", "delete"), (), ("a", "c", "d"))
    first, second = rules_of([asked("get", "", "a"), asked("patch", "x", "b", required=False)])
    assert (first.verbs, first.names, first.optional) == (("get",), (), False)
    assert (second.verbs, second.names, second.optional) == (("patch",), ("x",), True)


def test_a_restart_is_granted_only_where_it_can_happen() -> None:
    restart = ("shop", "apps", "deployments", "patch", "web")
    assert restart not in granted(roles("zero-downtime").objects)
    assert restart in granted(roles("zero-downtime", sha=story.OLD).objects)
    assert restart in granted(roles("zero-downtime", target=replace(TARGET, release=ReleaseSettings())).objects)
    observing = replace(TARGET, release=ReleaseSettings(mode="observe"))
    assert restart not in granted(roles("zero-downtime", target=observing).objects)


def test_a_production_target_gets_what_the_run_that_is_meant_needs() -> None:
    production = replace(TARGET, fences=replace(TARGET.fences, production=True))
    assert ("shop", "", "pods", "delete", "") in granted(roles("pod-delete", target=production).objects)
    rights = granted(roles("drift", target=production).objects)
    assert not [one for one in rights if one[3] == "delete" and one[2] != "leases"], (
        "its safe trials run without a word"
    )


def test_two_clusters_have_roles_of_their_own() -> None:
    apart = replace(TARGET, argocd=ArgoCd(application="shop", context="tools"))
    with pytest.raises(InputError, match="two clusters") as caught:
        roles("pod-delete", target=apart)
    assert "--cluster argocd" in caught.value.hint
    both = [roles("pod-delete", target=apart, cluster=one) for one in ("app", "argocd")]
    assert [one.context for one in both] == ["story", "tools"]
    app, argocd = (granted(one.objects) for one in both)
    assert {namespace for namespace, *_ in argocd} == {"argocd"}
    assert "argocd" not in {namespace for namespace, *_ in app}


@pytest.mark.parametrize(("option", "wanted"), [
    ("--name", {"name": "Chaos Monkey"}), ("--namespace", {"namespace": "a" * 64}), ("--cluster", {"cluster": "both"}),
])  # fmt: skip
def test_what_cannot_be(option: str, wanted: dict[str, str]) -> None:
    with pytest.raises(InputError, match=option):
        roles("pod-delete", **wanted)


def test_the_account_is_named_after_the_target() -> None:
    assert roles("drift", target=replace(TARGET, name="Shop (EU)")).account.name == "rollproof-shop-eu"


@pytest.mark.parametrize(("verb", "resource", "subresource", "name", "said"), [
    ("create", "pods", "exec", "", "its secrets"),
    ("get", "secrets", "", "app", "passwords"),
    ("patch", "nodes", "", "", "whole cluster"),
    ("create", "pods", "eviction", "", "PodDisruptionBudget"),
    ("create", "jobs.batch", "", "", "can run any image"),
    ("create", "pods", "", "", "can run any image"),
    ("patch", "deployments.apps", "", "web", "this one object"),
    ("patch", "applications.argoproj.io", "", "shop", "what Argo CD deploys"),
    ("list", "pods", "", "", ""),
    ("create", "leases.coordination.k8s.io", "", "", ""),
])  # fmt: skip
def test_strong_rights_have_a_word(verb: str, resource: str, subresource: str, name: str, said: str) -> None:
    kind, _, group = resource.partition(".")
    one = Permission(
        verb=verb, resource=kind, group=group, subresource=subresource, namespace="shop", name=name, why="x"
    )  # fmt: skip
    word = strong_word(one)
    assert said in word
    assert bool(word) is bool(said)


def test_every_right_to_change_has_a_word_or_is_known_to_be_weak() -> None:
    """A new fault with a right that nobody has weighed: add a word to core/strongrights.py, or the right here."""
    weak = {("leases", "coordination.k8s.io")}
    permissions = possible_permissions(TARGET, Order(drills=tuple(drill_table())).chosen)
    changing = [one for one in permissions if one.verb not in READING and (one.resource, one.group) not in weak]
    assert changing
    assert [str(one) for one in changing if not strong_word(one)] == []


def test_a_rule_is_told_with_its_reason_and_its_warning() -> None:
    text = roles("container-stop").yaml
    rule = text[text.index("to end a container's main process") : text.index('resources: ["pods/exec"]')]
    assert "STRONG: a command in a container reads its environment and files, and so its secrets" in rule.replace(
        "\n  # ", " "
    )
    assert max(len(line) for line in text.splitlines()) <= 118


def test_all_is_what_the_word_means() -> None:
    assert roles(*expand("all")).drills == expand("all")
    assert isinstance(roles("drift").rules[0], Rule)
