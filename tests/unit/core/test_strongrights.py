"""What each right allows beyond its use, in full: tests/golden/core/strongrights.txt, to be read when it changes."""

from __future__ import annotations

from collections.abc import Callable

from rollproof.core.permission import Permission
from rollproof.core.strongrights import strong_word

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
RESOURCES = (  # resource, its group, its subresources; the last ones are weak
    ("pods", "", ("", "exec", "attach", "portforward", "proxy", "log", "eviction", "ephemeralcontainers", "status")),
    ("secrets", "", ("",)),
    ("serviceaccounts", "", ("", "token")),
    ("nodes", "", ("", "proxy")),
    ("services", "", ("",)),
    ("ingresses", "networking.k8s.io", ("",)),
    ("httproutes", "gateway.networking.k8s.io", ("",)),
    ("networkpolicies", "networking.k8s.io", ("",)),
    ("resourcequotas", "", ("",)),
    ("horizontalpodautoscalers", "autoscaling", ("",)),
    ("configmaps", "", ("",)),
    ("deployments", "apps", ("", "scale")),
    ("statefulsets", "apps", ("", "scale")),
    ("replicasets", "apps", ("",)),
    ("daemonsets", "apps", ("",)),
    ("jobs", "batch", ("",)),
    ("cronjobs", "batch", ("",)),
    ("applications", "argoproj.io", ("",)),
    ("appprojects", "argoproj.io", ("",)),
    ("roles", "rbac.authorization.k8s.io", ("",)),
    ("rolebindings", "rbac.authorization.k8s.io", ("",)),
    ("events", "", ("",)),
    ("leases", "coordination.k8s.io", ("",)),
)


def test_what_each_right_allows(golden: Callable[[str, str], None]) -> None:
    lines: list[str] = []
    for resource, group, subresources in RESOURCES:
        for subresource in subresources:
            lines.append(f"== {'/'.join(filter(None, ('.'.join(filter(None, (resource, group))), subresource)))}")
            for name in ("", "web"):
                lines += [
                    f"{verb}{f' {name}' if name else ''}: {word}"
                    for verb in VERBS
                    if (word := word_of(verb, resource, group, subresource, name)) != (
                        word_of(verb, resource, group, subresource, "") if name else ""
                    )
                ]  # fmt: skip
    golden("core/strongrights.txt", "\n".join([*lines, ""]))


def word_of(verb: str, resource: str, group: str, subresource: str, name: str) -> str:
    return strong_word(
        Permission(
            verb=verb, resource=resource, group=group, subresource=subresource, namespace="shop", name=name, why="x"
        )
    )
