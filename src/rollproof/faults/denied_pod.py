"""Denied pod: a pod that the app's NetworkPolicies must deny tries to reach the app, for some rounds.

Policies are accepted everywhere, and enforced only where the network does so (EKS: off by default; kind: of late). So
they are tried, not read. The pod has no right, no token and none of the app's labels; nothing of the app is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.labels import labels_of
from rollproof.core.networkpolicy import ROUNDS, Block, Entry, Port, Tries, entry_of, restricts
from rollproof.core.outside import Outside, without_nulls
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.core.watched import ENDED_PHASES
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.created import Creates, create_owned, delete_ours
from rollproof.faults.deadman import OwnerJob, held_for_s
from rollproof.faults.leaving import deployment_of, ready_pods, serving, too_few, why_none
from rollproof.faults.ownpod import pod_spec, script_container
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DeniedPod"]

_KIND, _NAME, _POLICY = "Pod", "rollproof-denied-pod", "NetworkPolicy"
_CONNECT_S, _APART_S = 1, 1  # of each try, and between the rounds
_START_S = 30.0  # until the pod runs: its image may have to be pulled


class DeniedPod(Creates):
    """Its args: the pod (kind, namespace, name, image), `addresses` of the app's pods, `port`, the `policies` that
    restrict them with their versions, and the `blocks` of addresses that these let in.
    """

    name = "denied-pod"
    affects_traffic = False
    held = False
    peers = "cilium connectivity test and netassert; Krkn, Litmus and Chaos Mesh make policies, and do not try them"
    kinds = frozenset({_KIND})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On pods of the app's namespace; the Job's."""
        namespace = target.cluster.namespace
        yield from each_verb("get list create delete", "pods", namespace, "the pod that tries, and whom it tries")
        why = "to see which of them restrict who reaches the app"
        yield from each_verb("list", "networkpolicies", namespace, why, group="networking.k8s.io")
        yield from OwnerJob.permissions(namespace)

    def dead_man(self, args: Mapping[str, Any], target: Target) -> OwnerJob:
        """A Job without a pod, which owns the one that tries."""
        after_s = held_for_s(target.faults, effect_after_s=_takes_s(len(args["addresses"])))
        return OwnerJob(namespace=args["namespace"], after_s=after_s)

    def available(self, context: Context) -> Injection | Skip:
        """The pods that serve, if a policy restricts who reaches them, and what it says denies the pod that tries."""
        target, namespace = context.target, context.target.cluster.namespace
        image = target.faults.dead_man_image
        if not image:
            return context.skip(self, "faults.dead_man_image does not say of which image the pod that tries is made")
        deployment = deployment_of(context)
        port = Port(target.app.pod_port, _name_of(target.app.pod_port, deployment))
        listed = _listed(context.kube, namespace)
        found = _restricting(listed, deployment)
        if not found:
            return context.skip(self, "no NetworkPolicy restricts who reaches the app: everybody may")
        entry = _entry(listed, found, port, namespace)
        if entry.reason:
            return context.skip(
                self, f"a pod of this namespace cannot show that it is denied: {_POLICY} {entry.reason}"
            )
        if context.kube.find(_KIND, namespace, _NAME) is not None:
            return context.skip(self, f"{_KIND}/{namespace}/{_NAME} is there: `rollproof undo --all` ends what is left")
        ready = ready_pods(context, deployment)
        if not ready:
            return context.skip(self, why_none(context))
        names = {one.child("metadata").text("name"): _version(one) for one in found}
        args: dict[str, Any] = {
            "kind": _KIND, "namespace": namespace, "name": _NAME, "image": image, "port": port.number,
            "addresses": {name: pod.ip for name, pod in ready.items()}, "members": len(ready),
            "policies": names,
            "blocks": [[one.policy, one.cidr, list(one.without)] for one in entry.blocks],
        }  # fmt: skip
        takes_s = _takes_s(len(ready))
        return context.injection(
            self, f"{_KIND}/{namespace}/{_NAME}", args=args, effect_after_s=takes_s, recovery_after_s=takes_s,
            change=f"created: it tries port {port.number} of {len(ready)} pods {ROUNDS} times, which "
            f"{', '.join(names)} must deny", undo="deleted", dead_man=str(self.dead_man(args, target)),
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The same policies, and every address that of a pod that serves."""
        return _other_policies(injection, live) or _not_there(injection, live)

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One creation; 409 is a pod of that name that was there before."""
        return create_owned(injection, live, "v1", _spec(injection.args))

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """What the pod says when it has ended: its tries, whatever they found."""
        args = injection.args
        found = live.kube.find(_KIND, args["namespace"], args["name"])
        if found is None:
            return Void("the pod that tries was deleted before it had ended")
        status = Outside.of(without_nulls(found), f"pod {_NAME}").child("status")
        if status.text("phase") not in ENDED_PHASES:
            return None
        if gone := _not_there(injection, live):
            return Void(f"the app has changed while it was tried: {gone}")
        if other := _other_policies(injection, live):
            return Void(f"while it was tried {other}")
        blocks = [Block(policy, cidr, tuple(cuts)) for policy, cidr, cuts in args["blocks"]]
        if block := next((one for one in blocks if one.holds(status.text("podIP"))), None):
            return Void(f"{_POLICY} {block.policy} lets {block.cidr} in, and the pod's address is one of them")
        ended = (
            next(iter(status.objects("containerStatuses")), Outside.of({}, _KIND)).child("state").child("terminated")
        )
        tries = Tries.of_message(ended.text("message"), args["addresses"].values())
        if ended.integer("exitCode", 1) != 0 or tries is None:
            how = f"exit code {ended.integer('exitCode', 1)}, {ended.text('reason')}: {ended.text('message')[:80]!r}"
            return Void(
                f"the pod that tries did not come to its end ({how}): has its image a shell, and curl or python3?"
            )
        return Effect(f"{injection.subject} has tried, and says what it found", said=tries.data())

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Nothing was taken away: as many pods as before serve."""
        return too_few(serving(live), injection.args["members"])

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Delete the pod, if it is ours and as we made it. One that runs stays for a moment after that."""

        def is_as_made(spec: Outside) -> bool:
            return [one.text("image") for one in spec.objects("containers")] == [args["image"]]

        found = kube.find(_KIND, args["namespace"], args["name"])
        if found is not None and found["metadata"].get("deletionTimestamp"):
            return Undone("not-needed", reason="it is on its way out")
        return delete_ours(kube, args, is_as_made)


def _takes_s(pods: int) -> float:
    """How long the pod may take: each try is refused or times out, that of the API server too."""
    return _START_S + ROUNDS * (_CONNECT_S * (pods + 1) + _APART_S)


def _listed(kube: Kube, namespace: str) -> tuple[Outside, ...]:
    """All NetworkPolicies of the namespace."""
    return tuple(Outside.of(without_nulls(item), _POLICY) for item in kube.list(_POLICY, namespace)["items"])


def _restricting(listed: Iterable[Outside], deployment: Object) -> tuple[Outside, ...]:
    """Those that restrict who reaches the Deployment's pods, by name."""
    template = Outside.of(without_nulls(deployment), "the Deployment").child("spec").child("template")
    labels = template.child("metadata").table("labels")
    mine = [one for one in listed if restricts(one, labels)]
    return tuple(sorted(mine, key=lambda one: one.child("metadata").text("name")))


def _version(policy: Outside) -> str:
    metadata = policy.child("metadata")
    return f"{metadata.text('uid')} {metadata.integer('generation')}"


def _entry(listed: Iterable[Outside], restricting: Iterable[Outside], port: Port, namespace: str) -> Entry:
    """What they say of our pod; or that another policy may hold back what our pod sends, which would look the same."""
    labels = labels_of("run")
    for one in listed:
        if restricts(one, labels, way="Egress"):
            return Entry(f"{one.child('metadata').text('name')} restricts what such a pod sends")
    return entry_of(restricting, port, namespace=namespace, labels=labels)


def _name_of(number: int, deployment: Object) -> str:
    """What the Deployment's pods call this TCP port, as a policy may name it too; "" if nothing."""
    pod = Outside.of(without_nulls(deployment), "the Deployment").child("spec").child("template").child("spec")
    ports = [port for container in pod.objects("containers") for port in container.objects("ports")]
    mine = [one for one in ports if one.integer("containerPort") == number and one.text("protocol", "TCP") == "TCP"]
    return next((one.text("name") for one in mine if one.text("name")), "")


def _other_policies(injection: Injection, live: LiveContext) -> str:
    """Whether other policies say now who may reach the app, or what such a pod may send; "" if none do."""
    args, deployment = injection.args, deployment_of(live)
    listed = _listed(live.kube, args["namespace"])
    found = _restricting(listed, deployment)
    if {one.child("metadata").text("name"): _version(one) for one in found} != args["policies"]:
        return "the NetworkPolicies have changed"
    entry = _entry(listed, found, Port(args["port"], _name_of(args["port"], deployment)), args["namespace"])
    return f"a {_POLICY} has come: {entry.reason}" if entry.reason else ""


def _not_there(injection: Injection, live: LiveContext) -> str:
    """Which of the addresses is not that of a pod that serves; "" if all are."""
    there = live.watches.serving()
    for name, address in injection.args["addresses"].items():
        if name not in there or there[name].ip != address:
            return f"pod {name} does not serve at {address}"
    return ""


def _spec(args: Mapping[str, Any]) -> Object:
    """Of the pod: as little as it needs, so that a namespace with the restricted standard takes it too."""
    environment = {
        "ADDRESSES": " ".join(args["addresses"].values()), "PORT": str(args["port"]), "ROUNDS": str(ROUNDS),
        "CONNECT_S": str(_CONNECT_S), "APART_S": str(_APART_S),
    }  # fmt: skip
    container = script_container("try", args["image"], _SCRIPT, environment)
    return pod_spec(container, automountServiceAccountToken=False, restartPolicy="Never")


# A line a round: a letter for each address of the app, and one for the API server, by whichever client the image has.
_SCRIPT = r"""
with_python='
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()
except OSError:
    sys.exit(1)
'
try() {
    if command -v curl >/dev/null; then
        case $1 in *:*) host="[$1]" ;; *) host=$1 ;; esac
        took=$(curl -s -o /dev/null --noproxy '*' --connect-timeout "$CONNECT_S" --max-time "$CONNECT_S" \
            -w '%{time_connect}' "http://$host:$2/")
        case $took in *[1-9]*) : ;; *) false ;; esac
    else
        python3 -c "$with_python" "$1" "$2" "$CONNECT_S"
    fi && printf y || printf n
}
command -v curl >/dev/null || command -v python3 >/dev/null || exit 3
begun=$(date +%s) number=0 rounds=
while [ "$number" -lt "$ROUNDS" ]; do
    round=
    for address in $ADDRESSES; do round=$round$(try "$address" "$PORT"); done
    round="$round $(try "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT")"
    rounds="$rounds
$round"
    number=$((number + 1))
    [ "$number" = "$ROUNDS" ] || sleep "$APART_S"
done
printf '%s%s\n' $(($(date +%s) - begun)) "$rounds" >/dev/termination-log
"""

FAULT = DeniedPod()
