"""Dead man: what ends a fault if the harness never comes back (docs/undo.md has which fault has which).

A, `OwnerJob`: a Job without a pod owns what was created; at its deadline Kubernetes deletes both. B and C, `armed`: a
timer inside the container or the node that was started before the fault. D, `ActingJob`: a Job whose pod sets one field
of one object back. A and D are in place, and proven to be, before the fault begins; the runner ends them when all is
undone.
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.labels import MANAGED_BY, OURS, labels_of
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import FaultSettings
from rollproof.errors import CannotJudgeError
from rollproof.faults.ownpod import pod_spec, script_container
from rollproof.store.journal import Undone

__all__ = [
    "NO_IMAGE", "ActingJob", "Owner", "OwnerJob", "armed", "end_job", "held_for_s",
]  # fmt: skip

NO_IMAGE = "none possible: no faults.dead_man_image"
_MARGIN_S = 60.0  # an undo of ours is tried for a minute when the API is away (run/teardown.py)
_READY_S = 60.0  # for the pod of an acting Job: its image is on the node, or is pulled
_POLL_S = 0.25
_PATIENCE_S = 600.0  # how long an acting Job tries, if the API is away at its time
_NAME_MAX = 63
_RBAC = "rbac.authorization.k8s.io"


def held_for_s(limits: FaultSettings, *, effect_after_s: float = 0.0) -> float:
    """How long a held fault may last, in seconds: until it is felt, for its hold, and a margin for our own undo."""
    return effect_after_s + limits.effect_within_s + limits.hold_s + _MARGIN_S


def armed(undo: str, after_s: float, fault: str) -> list[str]:
    """Patterns B and C: the argv that starts a timer of `after_s` seconds (then `undo`) before it runs `fault`.

    Both are commands of a POSIX shell, run where the fault is: in the container (pods/exec) or on the node. The timer
    holds no open stream and ignores a hang-up, so that the caller gets its answer at once and may vanish. It cannot be
    called off: `undo` must do no harm when all is well, and the next fault of its kind must wait for it. It ends with
    its container or node, so it is for what ends with them too.
    """
    return ["sh", "-c", f"(trap '' HUP; sleep {math.ceil(after_s)}; {undo}) </dev/null >/dev/null 2>&1 & {fault}"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A Job that is there, as the objects name it that go away with it."""

    namespace: str
    name: str
    uid: str
    run_id: str

    def metadata(self, name: str) -> Object:
        """Of an object in the Job's namespace that is deleted with it. It does not block: that needs a right more."""
        reference = {
            "apiVersion": "batch/v1", "kind": "Job", "name": self.name, "uid": self.uid, "controller": False,
            "blockOwnerDeletion": False,
        }  # fmt: skip
        return {
            "name": name, "namespace": self.namespace, "labels": labels_of(self.run_id), "ownerReferences": [reference]
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerJob:
    """Pattern A: for objects that a fault creates in `namespace`; they name the Job in `metadata` (`Owner.metadata`).

    after_s: its deadline, in seconds from its creation (whole ones: it may end up to 1 s early). Measured on Kubernetes
    1.34: no pod is ever made, and what it owns is gone 14 ms after the deadline.
    """

    namespace: str
    after_s: float

    def __str__(self) -> str:
        return f"a Job in {self.namespace} whose deadline deletes it after {self.after_s:g} s"

    @staticmethod
    def permissions(namespace: str) -> Iterator[Permission]:
        """To make and to end it."""
        yield from each_verb(
            "get create delete", "jobs", namespace, "the dead-man: it ends the fault if rollproof never comes back",
            group="batch",
        )  # fmt: skip

    def new_name(self, fault: str) -> str:
        """A name that no other Job has."""
        return f"rollproof-{fault}-{uuid.uuid4().hex[:8]}"[-_NAME_MAX:]

    def args(self, name: str) -> dict[str, Any]:
        """What `end_job` needs, for the journal: it must be there before the Job is."""
        return {"kind": "Job", "namespace": self.namespace, "name": name}

    def create(self, kube: Kube, name: str, run_id: str) -> Owner:
        """One request: the Job is there, and its deadline runs. ApiError, or LostAnswerError, as of any creation."""
        made = kube.create("Job", self.namespace, self._job(name, run_id))
        return Owner(self.namespace, name, str(made["metadata"]["uid"]), run_id)

    def arm(self, kube: Kube, owner: Owner) -> None:
        """Whatever is missing until it can do its deed: nothing."""

    def _job(self, name: str, run_id: str) -> Object:
        metadata = {"name": name, "namespace": self.namespace, "labels": labels_of(run_id)}
        return {
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
            "spec": {
                "parallelism": 0, "completions": 1, "backoffLimit": 20, "ttlSecondsAfterFinished": 0,
                "activeDeadlineSeconds": math.ceil(self._deadline_s()),
                "template": {"metadata": {"labels": labels_of(run_id)}, "spec": self._pod(name)},
            },
        }  # fmt: skip

    def _deadline_s(self) -> float:
        return self.after_s

    def _pod(self, name: str) -> Object:  # noqa: ARG002 - there is never a pod
        return {"restartPolicy": "Never", "containers": [{"name": "nobody", "image": "none.invalid/never-run:0"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActingJob(OwnerJob):
    """Pattern D: after `after_s` seconds its pod sets one field back, if it still has the value of the fault.

    image: has a POSIX shell, and curl or python3. right: patch, on that one object; we must have it ourselves
    (Kubernetes lets nobody give away what they do not have). path: of the object in the API. uid: of the object.
    pointer: of the field (RFC 6901). ours, before: its values, as JSON; `ours` None: the API leaves the field out then.

    The Job owns its ServiceAccount, Role and RoleBinding, so that nothing is left of them. Its pod first rehearses the
    request (dryRun) and is ready when that was accepted: image, network, token and right are proven before the fault.
    """

    image: str
    right: Permission
    path: str
    uid: str
    pointer: str
    ours: Any
    before: Any

    def __str__(self) -> str:
        what = f"sets {self.pointer} of {self.right.resource} {self.right.name} to {json.dumps(self.before)}"
        return f"a Job in {self.namespace} {what} after {self.after_s:g} s"

    @staticmethod
    def permissions(namespace: str) -> Iterator[Permission]:
        """To make and to end it, with an account and a right of its own."""
        yield from OwnerJob.permissions(namespace)
        yield from each_verb("patch", "jobs", namespace, "to start the dead-man's pod", group="batch")
        why = "the account of the dead-man, with a right on one object"
        yield from each_verb("create", "serviceaccounts", namespace, why)
        yield from each_verb("create", "roles", namespace, why, group=_RBAC)
        yield from each_verb("create", "rolebindings", namespace, why, group=_RBAC)

    def arm(self, kube: Kube, owner: Owner) -> None:
        """Its account and right, then its pod, until that is ready. CannotJudgeError if it does not get ready."""
        for body in self._account(owner):
            kube.create(body["kind"], self.namespace, body)
        kube.patch("Job", self.namespace, owner.name, {"spec": {"parallelism": 1}})
        until_s = time.monotonic() + _READY_S
        while not _has_ready_pod(kube.get("Job", self.namespace, owner.name)):
            if time.monotonic() > until_s:
                message = f"the dead-man Job/{self.namespace}/{owner.name} did not get ready within {_READY_S:g} s"
                hint = f"can {self.image} (faults.dead_man_image) run there, and reach the API server?"
                raise CannotJudgeError(f"{message}, so the fault was not begun", hint)
            time.sleep(_POLL_S)

    def _account(self, owner: Owner) -> Iterator[Object]:
        name, right = owner.name, self.right
        resource = f"{right.resource}/{right.subresource}" if right.subresource else right.resource
        rule = {"apiGroups": [right.group], "resources": [resource], "resourceNames": [right.name], "verbs": ["patch"]}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": owner.metadata(name)}
        yield {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": owner.metadata(name), "rules": [rule]}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        yield {
            "apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": owner.metadata(name),
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name}, "subjects": [subject],
        }  # fmt: skip

    def _deadline_s(self) -> float:
        return _READY_S + self.after_s + _PATIENCE_S

    def _pod(self, name: str) -> Object:
        same = {"op": "test", "path": "/metadata/uid", "value": self.uid}
        back = {"op": "add", "path": self.pointer, "value": self.before}
        still = {"op": "test", "path": self.pointer, "value": self.ours}
        environment = {
            "WAIT_S": str(math.ceil(self.after_s)), "PLACE": self.path, "REHEARSAL": json.dumps([same, back]),
            "DEED": json.dumps([same, still, back]),
        }  # fmt: skip
        container = script_container(
            "dead-man", self.image, _SCRIPT, environment,
            readinessProbe={"exec": {"command": ["test", "-e", "/armed/yes"]}, "periodSeconds": 1},
            volumeMounts=[{"name": "armed", "mountPath": "/armed"}],
        )  # fmt: skip
        return pod_spec(
            container, serviceAccountName=name, restartPolicy="OnFailure", volumes=[{"name": "armed", "emptyDir": {}}]
        )


# One PATCH an attempt, by whichever client the image has. 422: a `test` of the patch says that it is not ours any more.
_SCRIPT = r"""
keys=/var/run/secrets/kubernetes.io/serviceaccount
case $KUBERNETES_SERVICE_HOST in *:*) host="[$KUBERNETES_SERVICE_HOST]" ;; *) host=$KUBERNETES_SERVICE_HOST ;; esac
url="https://$host:$KUBERNETES_SERVICE_PORT$PLACE?fieldManager=rollproof-dead-man"
with_python='
import ssl, sys, urllib.error, urllib.request
url, body, keys = sys.argv[1:]
headers = {"Authorization": "Bearer " + open(keys + "/token").read(), "Content-Type": "application/json-patch+json"}
request = urllib.request.Request(url, body.encode(), headers, method="PATCH")
context = ssl.create_default_context(cafile=keys + "/ca.crt")
https = urllib.request.HTTPSHandler(context=context)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)
try:
    print(opener.open(request, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
'
patch() {
    if command -v curl >/dev/null; then
        curl -s -o /dev/null -w '%{http_code}' --noproxy '*' --max-time 10 --cacert $keys/ca.crt -X PATCH \
            -H "Authorization: Bearer $(cat $keys/token)" -H 'Content-Type: application/json-patch+json' -d "$2" "$1"
    else
        python3 -c "$with_python" "$1" "$2" $keys
    fi
}
until [ "$(patch "$url&dryRun=All" "$REHEARSAL")" = 200 ]; do sleep 1; done
: >/armed/yes
sleep "$WAIT_S"
while :; do
    said=$(patch "$url" "$DEED")
    echo "rollproof dead-man: $said"
    case $said in 200 | 404 | 422) exit 0 ;; esac
    sleep 1
done
"""


def end_job(kube: Kube, args: Mapping[str, Any]) -> Undone:
    """End a dead-man: its Job is deleted, and Kubernetes deletes what it owns. One that ended itself is no error."""
    namespace, name = str(args["namespace"]), str(args["name"])
    found = kube.find("Job", namespace, name)
    if found is None:
        return Undone("not-needed", reason="the dead-man is not there: it has ended, or was never made")
    if (found["metadata"].get("labels") or {}).get(MANAGED_BY) != OURS:
        return Undone("left", reason=f"Job {name} is not ours: it has no label {MANAGED_BY}={OURS}", expected=OURS)
    try:
        kube.delete("Job", namespace, name, uid=found["metadata"]["uid"])
    except ApiError as error:
        if error.status not in (404, 409):
            raise
    return Undone("done")


def _has_ready_pod(job: Object) -> bool:
    return ((job.get("status") or {}).get("ready") or 0) >= 1
