"""Roles: the least RBAC objects that let chosen drills run, as YAML for `kubectl apply`, with the reason of each rule.

Pure: from permissions to objects and text; no cluster is asked. One Role for each namespace, one ClusterRole for what
has no namespace, their bindings, and the ServiceAccount that they are bound to.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any

from rollproof.core.permission import READING, Permission
from rollproof.core.strongrights import strong_word
from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.preflight.permissions import possible_permissions
from rollproof.preflight.planning import Order, check_meant, closed_fence, named_drills, wanted_target

__all__ = ["Account", "Roles", "Rule", "Wanted", "order_of", "roles_for"]

_API, _GROUP = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, as a namespace is named
_NAMELESS = frozenset({"create", "deletecollection"})  # resourceNames cannot restrict them: no name is in the request
_WIDTH = 118


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the person wants of the roles. Empty: the name follows the target's, the namespace is the app's.

    cluster: "app" or "argocd", needed where these are two clusters.
    """

    name: str = ""
    namespace: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """The ServiceAccount that the roles are bound to; they have its name too."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a Role, or of the ClusterRole where `namespace` is empty.

    reasons: what each drill needs it for. warnings: what it allows beyond that. optional: a drill runs without it, and
    sees or claims less.
    """

    namespace: str
    group: str
    resource: str  # with its subresource: "pods/exec"
    verbs: tuple[str, ...]
    names: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    optional: bool

    @property
    def document(self) -> dict[str, Any]:
        """As the API takes it."""
        names = {"resourceNames": list(self.names)} if self.names else {}
        return {"apiGroups": [self.group], "resources": [self.resource], **names, "verbs": list(self.verbs)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The rules that let these drills run on this target, and whom they are bound to."""

    target: Target
    drills: tuple[str, ...]
    account: Account
    context: str  # of the cluster that they are for
    rules: tuple[Rule, ...]

    @property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """As the API takes them, in the order in which they are applied."""
        parts = [_account(self.account)]
        for namespace, group in groupby(self.rules, key=lambda rule: rule.namespace):
            parts.append(_role(namespace, self.account, [rule.document for rule in group]))
            parts.append(_binding(namespace, self.account))
        return tuple(parts)

    @property
    def yaml(self) -> str:
        """The same as YAML, each rule below its reasons."""
        texts = ["\n".join([*map(_comment, self._heading()), _yaml(_account(self.account))])]
        for namespace, group in groupby(self.rules, key=lambda rule: rule.namespace):
            role = _yaml(_role(namespace, self.account, []))
            texts.append("\n".join([role.replace("rules: []", "rules:"), *map(_rule, group)]))
            texts.append(_yaml(_binding(namespace, self.account)))
        return "\n---\n".join(texts)

    def _heading(self) -> Iterator[str]:
        account = self.account
        yield f"The least rights for {', '.join(self.drills)} on target {self.target.name}, in context {self.context}."
        yield f"A token: kubectl --context {self.context} -n {account.namespace} create token {account.name}"
        strong = sum(bool(rule.warnings) for rule in self.rules)
        if strong:
            yield f"STRONG marks what a rule allows beyond what it is needed for; {strong} of {len(self.rules)} do."


def order_of(words: Iterable[str], target: Target, sha: str, mean_production: str) -> Order:
    """The order of all drills that these words name, each once."""
    names = chain(*(named_drills(word, target=target) for word in words))
    return Order(drills=tuple(dict.fromkeys(names)), sha=sha, mean_production=mean_production)


def roles_for(order: Order, target: Target, wanted: Wanted) -> Roles:
    """The roles of an order: of a target that is marked as production those of the run that would have to be meant.

    InputError if the names cannot be names, or if it is not said which of two clusters.
    """
    check_meant(order, target)
    if closed_fence(order, target):
        order = replace(order, mean_production=target.name)
    target = wanted_target(order, target)
    cluster = _cluster(target, wanted.cluster)
    permissions = possible_permissions(target, order.chosen, order.sha)
    if cluster:
        permissions = tuple(one for one in permissions if one.argocd is (cluster == "argocd"))
    return Roles(
        target=target, drills=order.drills, account=_account_of(target, wanted), rules=rules_of(permissions),
        context=target.argocd.context if cluster == "argocd" else target.cluster.context,
    )  # fmt: skip


def _account_of(target: Target, wanted: Wanted) -> Account:
    made = re.sub(r"[^a-z0-9]+", "-", f"rollproof-{target.name.lower()}").strip("-")[:63].strip("-")
    account = Account(wanted.name or made, wanted.namespace or target.cluster.namespace)
    for option, said in (("--name", account.name), ("--namespace", account.namespace)):
        if not _LABEL.fullmatch(said):
            message = f"{option} {said!r} cannot be the name of a Kubernetes object"
            raise InputError(message, "at most 63 of a-z, 0-9 and '-', a letter or digit at both ends")
    return account


def _cluster(target: Target, named: str) -> str:
    """The one of two clusters that is meant; "" where the app and Argo CD live in one."""
    if named not in ("", "app", "argocd"):
        raise InputError(f"--cluster {named!r} is none of 'app', 'argocd'")
    if target.argocd.context in ("", target.cluster.context):
        return ""
    if not named:
        contexts = f"the app in context {target.cluster.context!r}, Argo CD in {target.argocd.context!r}"
        message = f"these are two clusters, each with roles of its own: {contexts}"
        raise InputError(message, "say which one you are going to apply them to: --cluster app, or --cluster argocd")
    return named


def rules_of(permissions: Iterable[Permission]) -> tuple[Rule, ...]:
    """The fewest rules: a verb that is needed on all objects is not named again for one; a fallback is left out."""
    wanted = sorted((one for one in permissions if not one.fallback), key=_place)
    return tuple(rule for _, group in groupby(wanted, key=_place) for rule in _of_one_place(tuple(group)))


def _place(permission: Permission) -> tuple[str, str, str]:
    resource = f"{permission.resource}/{permission.subresource}" if permission.subresource else permission.resource
    return permission.namespace, permission.group, resource


def _of_one_place(permissions: Sequence[Permission]) -> Iterator[Rule]:
    names: dict[str, set[str]] = {}  # verb -> the objects, "" for all
    for one in permissions:
        nameless = one.verb in _NAMELESS and not one.subresource
        names.setdefault(one.verb, set()).add("" if nameless else one.name)
    restricted = {verb: () if "" in found else tuple(sorted(found)) for verb, found in names.items()}
    namespace, group, resource = _place(permissions[0])
    for chosen in dict.fromkeys(restricted.values()):
        verbs = tuple(verb for verb, found in restricted.items() if found == chosen)
        of_it = [one for one in permissions if one.verb in verbs]
        yield Rule(
            namespace=namespace, group=group, resource=resource, verbs=verbs, names=chosen,
            reasons=_unique(word for verb in verbs for word in _reasons(verb, of_it)),
            warnings=_unique(strong_word(one) for one in of_it),
            optional=not any(one.required for one in of_it),
        )  # fmt: skip


def _reasons(verb: str, permissions: Sequence[Permission]) -> tuple[str, ...]:
    """All of them; of reading the first is enough, for every drill looks before it acts."""
    found = _unique(one.why for one in permissions if one.verb == verb)
    return found[:1] if verb in READING else found


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


def _account(account: Account) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(account.name, account.namespace)}


def _role(namespace: str, account: Account, rules: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = _metadata(account.name, namespace)
    return {"apiVersion": _API, "kind": _kind(namespace, "Role"), "metadata": metadata, "rules": rules}


def _binding(namespace: str, account: Account) -> dict[str, Any]:
    return {
        "apiVersion": _API, "kind": _kind(namespace, "RoleBinding"), "metadata": _metadata(account.name, namespace),
        "roleRef": {"apiGroup": _GROUP, "kind": _kind(namespace, "Role"), "name": account.name},
        "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
    }  # fmt: skip


def _kind(namespace: str, kind: str) -> str:
    return kind if namespace else f"Cluster{kind}"


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


# -- as text -----------------------------------------------------------------------------------------------------------


def _yaml(item: dict[str, Any]) -> str:
    """An object of two levels in block style; deeper ones, and every text, in JSON, which YAML 1.2 includes."""
    lines: list[str] = []
    for key, value in item.items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {json.dumps(part)}" for name, part in value.items())]
        elif isinstance(value, list) and value:
            lines += [f"{key}:", *(f"  - {json.dumps(part)}" for part in value)]
        else:
            lines.append(f"{key}: {json.dumps(value)}" if not isinstance(value, str) else f"{key}: {value}")
    return "\n".join(lines)


def _rule(rule: Rule) -> str:
    optional = "optional: " if rule.optional else ""
    comments = [_comment(f"{optional}{'; '.join(rule.reasons)}", "  ")]
    comments += [_comment(f"STRONG: {word}", "  ") for word in rule.warnings]
    first, *others = (f"{key}: {json.dumps(value)}" for key, value in rule.document.items())
    return "\n".join([*comments, f"  - {first}", *(f"    {line}" for line in others)])


def _comment(text: str, indent: str = "") -> str:
    """One comment, on as many lines as it needs."""
    begin = f"{indent}# "
    return textwrap.fill(
        text, _WIDTH, initial_indent=begin, subsequent_indent=begin, break_long_words=False, break_on_hyphens=False
    )
