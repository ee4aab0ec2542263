"""Strong rights: what a permission allows beyond what a drill uses it for, in words for whoever is to grant it.

From Kubernetes' own list of rights that lead to more ("Role Based Access Control Good Practices", privilege
escalation risks), and from what Argo CD does with an Application.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollproof.core.permission import READING, Permission

__all__ = ["strong_word"]

_CHANGING = frozenset({"create", "update", "patch"})
_MAKES_PODS = frozenset({
    "pods", "jobs.batch", "cronjobs.batch", "deployments.apps", "replicasets.apps", "statefulsets.apps",
    "daemonsets.apps",
})  # fmt: skip
_RUNS_CODE = "whoever can {verb} {resource} can run any image in this namespace, with its Secrets and ServiceAccounts"
_ONE = "whoever can {verb} this one object can run any image in this namespace, with its Secrets and ServiceAccounts"

# (resource with group and subresource, verbs) -> what else it allows
_WORDS: Mapping[tuple[str, frozenset[str]], str] = {
    ("pods/exec", frozenset({"get", "create"})): (
        "a command in a container reads its environment and files, and so its secrets, of every pod in this namespace"
    ),
    ("pods/attach", frozenset({"get", "create"})): "it types into the main process of every pod in this namespace",
    ("pods/portforward", frozenset({"get", "create"})): (
        "it reaches every port of every pod in this namespace, past all NetworkPolicies"
    ),
    ("pods/proxy", READING): "it asks every pod in this namespace over HTTP, past the ingress and its logins",
    ("pods/log", READING): "logs of every pod in this namespace may hold secrets and personal data",
    ("pods/eviction", frozenset({"create"})): (
        "it takes away any pod in this namespace that its PodDisruptionBudget lets go"
    ),
    ("pods/ephemeralcontainers", _CHANGING): "it runs any image inside of a running pod, beside its secrets",
    ("pods", frozenset({"delete"})): "it ends any pod in this namespace; no PodDisruptionBudget is asked",
    ("secrets", READING): "it reads the passwords and tokens in them; to list is to read",
    ("secrets", _CHANGING): "it replaces passwords and tokens that the app starts with",
    ("serviceaccounts/token", frozenset({"create"})): "it logs in as that ServiceAccount, with all of its rights",
    ("nodes", _CHANGING): "it keeps pods off nodes (cordon, taint, labels), in the whole cluster",
    ("nodes", frozenset({"delete"})): "it takes nodes out of the cluster",
    ("nodes/proxy", READING | _CHANGING): "it is the kubelet's API: commands in every container of the node",
    ("services", _CHANGING | {"delete"}): "it sends the traffic of this namespace elsewhere, or nowhere",
    ("ingresses.networking.k8s.io", _CHANGING | {"delete"}): "it sends the app's traffic elsewhere, or nowhere",
    ("httproutes.gateway.networking.k8s.io", _CHANGING | {"delete"}): (
        "it sends the app's traffic elsewhere, or nowhere"
    ),
    ("resourcequotas", _CHANGING): "a quota of nothing keeps every new pod out of this namespace, also one that heals",
    ("resourcequotas", frozenset({"delete"})): "it takes away what limits this namespace",
    ("networkpolicies.networking.k8s.io", _CHANGING | {"delete"}): "it opens or closes the ways between pods",
    ("horizontalpodautoscalers.autoscaling", _CHANGING | {"delete"}): (
        "it scales the workloads of this namespace that have one, within bounds of its own"
    ),
    ("configmaps", _CHANGING | {"delete"}): "it changes what the app is configured with",
    ("deployments.apps/scale", _CHANGING): "it scales that workload to 0, or up without end",
    ("statefulsets.apps/scale", _CHANGING): "it scales that workload to 0, or up without end",
    ("applications.argoproj.io", _CHANGING): (
        "an Application says what Argo CD deploys, from where and to where: within its project that is Argo CD's right"
    ),
    ("appprojects.argoproj.io", _CHANGING): (
        "an AppProject says what all of its Applications may deploy, from where and to where, and when"
    ),
    ("jobs.batch", frozenset({"delete"})): "it ends the Jobs of this namespace, those of others too",
    ("deployments.apps", frozenset({"delete"})): "it takes the workload away, with all of its pods",
    ("statefulsets.apps", frozenset({"delete"})): "it takes the workload away, with all of its pods",
    ("serviceaccounts", _CHANGING): "a RoleBinding of anybody's that names it gives it rights",
    ("roles.rbac.authorization.k8s.io", _CHANGING): "it hands on the rights that it has",
    ("rolebindings.rbac.authorization.k8s.io", _CHANGING): "it hands on the rights that it has",
}


def strong_word(permission: Permission) -> str:
    """What else this permission allows, for a person who weighs it; "" where it is only what it says."""
    resource = permission.place.split()[0]
    for (known, verbs), word in _WORDS.items():
        if resource == known and permission.verb in verbs:
            return word
    if resource in _MAKES_PODS and permission.verb in _CHANGING:
        words = _ONE if permission.name and permission.verb != "create" else _RUNS_CODE
        return words.format(verb=permission.verb, resource=resource)
    return ""
