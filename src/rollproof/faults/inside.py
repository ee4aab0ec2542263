"""Inside: what is common to the faults that act within the app's container by a command (pods/exec).

Which container · may a command be run there, and does the image have a shell · may its restart be timed at all.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube, LostAnswerError, Object
from rollproof.core.injection import Injection
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.errors import RollproofError
from rollproof.faults.base import Context, Fault, LiveContext
from rollproof.faults.leaving import deployment_of, serving, takeable_pods, too_few
from rollproof.faults.processes import LOOK, Process, parse, supervised
from rollproof.probes.views import PodView, app_container

__all__ = [
    "EXEC_S", "NO_CONTAINER", "Chosen", "InOneContainer", "chosen_process", "container_named", "exec_permissions",
    "execute", "first_rested", "look", "no_exec", "not_one", "restart_begun", "restarted_lately", "said_of", "seen",
    "takeable_inside",
]  # fmt: skip

EXEC_S = 10.0  # for one command, from the connection to its end
NO_CONTAINER = "cluster.container must say which container"  # why a fault is not possible
_BACK_OFF_S = 600.0  # the kubelet forgets a container's restarts after ten quiet minutes
_SHOWN = 200


class InOneContainer(Fault, ABC):
    """A fault within one container. Its args hold at least "name" and "uid" of the pod, "container" with its number of
    "restarts", and "members": how many pods serve.
    """

    affects_traffic = True
    kinds = frozenset({"Pod"})

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The pod of the plan, with the container of the plan, must serve, with all its fellows."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"]:
            return f"pod {args['name']} with uid {args['uid']} is gone"
        if pod.restarts != args["restarts"]:
            return f"container {args['container']} of pod {args['name']} has been restarted since"
        serve = serving(live)
        if pod.uid not in serve:
            return f"pod {args['name']} is not ready, or not in the Service"
        return too_few(serve, args["members"])


def exec_permissions(namespace: str, why: str) -> Iterator[Permission]:
    """pods/exec: by WebSocket it is a GET; from Kubernetes 1.35 on that needs create too. And to read the one pod."""
    yield from each_verb("get", "pods", namespace, "to see when its container ended last")
    yield from each_verb("get create", "pods", namespace, why, subresource="exec")


def container_named(context: Context, deployment: Object) -> str:
    """The name of the app's container; "" if the target file has to say which it is."""
    spec = Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec")
    return app_container(spec, context.target.cluster.container, context.target.env_repo.image).text("name")


def takeable_inside(context: Context, deployment: Object) -> tuple[Mapping[str, PodView], str, str]:
    """`takeable_pods`, with the name of the app's container in them: (pods, container, ""); or why there are none."""
    ready, reason = takeable_pods(context, deployment)
    if reason:
        return {}, "", reason
    container = container_named(context, deployment)
    return (ready, container, "") if container else ({}, "", NO_CONTAINER)


def execute(kube: Kube, namespace: str, pod: str, container: str, script: str) -> Executed:
    """Run a shell script there."""
    return kube.pod_exec(namespace, pod, container, ("sh", "-c", script), timeout_s=EXEC_S)


def no_exec(context: Context, pod: str, container: str, script: str = "kill -0 1") -> str:
    """Why no command can be run there; "" if one can. Tried with signal 0, which changes nothing."""
    try:
        done = execute(context.kube, context.target.cluster.namespace, pod, container, script)
    except ApiError as error:
        if error.status in (404, 405):
            return f"pods/exec of {pod} was answered {error.status}: this API does not have it, or the pod is gone"
        return f"pods/exec of {pod} was answered {error.status}"
    except LostAnswerError as error:
        return f"pods/exec of {pod} gave no answer: {error}"
    if done.code == 0:
        return ""
    return f"{script!r} cannot be run in container {container} of {pod}: {said_of(done)}"


def said_of(done: Executed) -> str:
    """What a command that failed has said, in short."""
    how = done.refused or (f"exit code {done.code}" if done.code is not None else "it ended without an exit code")
    words = f"{how}; it said: {done.output.strip()}" if done.output.strip() else how
    return words[:_SHOWN]


def restarted_lately(kube: Kube, namespace: str, name: str, container: str) -> str:
    """When the container was restarted, if its back-off would be timed with the next restart; "" if not."""
    pod = kube.find("Pod", namespace, name)
    if pod is None:
        return ""
    statuses = Outside.of(pod, f"pod {name}").child("status").objects("containerStatuses")
    for one in statuses:
        if one.text("name") == container and one.count("restartCount"):
            # A pod whose sandbox was made anew (its node was away) has no last state: then when it began to run tells.
            ended_s = one.child("lastState").child("terminated").time_s("finishedAt")
            ended_s = max(ended_s or 0.0, one.child("state").child("running").time_s("startedAt") or 0.0)
            ago_s = kube.wall_s() - ended_s
            return f"container {container} of {name} was restarted {ago_s:.0f} s ago" if ago_s < _BACK_OFF_S else ""
    return ""


def restart_begun(kube: Kube, namespace: str, name: str, container: str) -> str:
    """Whether the kubelet is about to restart a container that still runs (its liveness failed), in words; "" if not.

    Until the grace period is over only an event says so. Both times are that kubelet's. Without the right: "".
    """
    pod = kube.find("Pod", namespace, name)
    statuses = Outside.of(pod or {}, f"pod {name}").child("status").objects("containerStatuses")
    began = [
        one.child("state").child("running").time_s("startedAt") for one in statuses if one.text("name") == container
    ]
    try:
        events = kube.list("Event", namespace, fields=f"involvedObject.name={name},reason=Killing")["items"]
    except ApiError as error:
        if error.status != 403:
            raise
        return ""
    said = [Outside.of(one, f"an event of pod {name}").time_s("lastTimestamp") or 0.0 for one in events]
    begun = began and began[0] and max(said, default=0.0) > began[0]
    return f"the kubelet is restarting container {container}: its liveness failed" if begun else ""


def first_rested(context: Context, names: Sequence[str], container: str) -> tuple[str, str]:
    """The first of these pods whose container has not ended lately, and "" ; else "" and why there is none."""
    namespace, why = context.target.cluster.namespace, ""
    for name in names:
        late = restarted_lately(context.kube, namespace, name, container)
        if not late:
            return name, ""
        why = why or late
    return (
        "",
        f"{why}: the kubelet's back-off would be timed, not the app; it is forgotten after {_BACK_OFF_S / 60:g} min",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The one process of a name that process 1 runs in a container, and which pod's: the first that has rested."""

    pod: str
    view: PodView
    container: str
    process: Process
    processes: tuple[Process, ...]  # all of the container
    args: Mapping[str, Any]  # of the injection: pod, container and process

    @property
    def words(self) -> str:
        """Which it is, for the plan."""
        return f"{self.process.name} (pid {self.process.pid}) in container {self.container}, uid {self.view.uid}"


def chosen_process(context: Context, name: str) -> Chosen | str:
    """The process of that name below process 1, in the first ready pod by name that has rested; or why none is."""
    deployment, namespace = deployment_of(context), context.target.cluster.namespace
    ready, container, reason = takeable_inside(context, deployment)
    if reason:
        return reason
    pod, reason = first_rested(context, tuple(ready), container)
    if reason := reason or no_exec(context, pod, container):
        return reason
    processes = look(context.kube, namespace, pod, container) or ()
    found = supervised(processes, name)
    if len(found) != 1:
        return not_one(pod, name, found)
    (one,), view = found, ready[pod]
    args = {
        "kind": "Pod", "namespace": namespace, "name": pod, "uid": view.uid, "container": container,
        "restarts": view.restarts, "members": len(ready), "process": one.name, "pid": one.pid, "started": one.started,
    }  # fmt: skip
    return Chosen(pod=pod, view=view, container=container, process=one, processes=processes, args=args)


def look(kube: Kube, namespace: str, pod: str, container: str) -> tuple[Process, ...] | None:
    """The container's processes now; None if they could not be listed."""
    done = execute(kube, namespace, pod, container, LOOK)
    return parse(done.output) or None if done.code == 0 else None


def seen(kube: Kube, args: Mapping[str, Any]) -> tuple[Process, ...] | None:
    """The same of an injection's container; None also while nobody answers, as while it starts again."""
    try:
        return look(kube, args["namespace"], args["name"], args["container"])
    except RollproofError:
        return None


def not_one(pod: str, name: str, found: tuple[Process, ...]) -> str:
    """Why these processes are not the one that is looked for."""
    if not found:
        return f"no process {name} runs below process 1 in pod {pod}"
    return f"{len(found)} processes {name} run below process 1 in pod {pod}: orphans of one that was killed serve on"
