"""Inside: what is common to the faults that act within the app's container by a command (pods/exec).

Which container · may a command be run there, and does the image have a shell · may its restart be timed at all.
"""

from __future__ import annotations

import time
from abc import ABC
from collections.abc import Iterator, Sequence

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube, LostAnswerError, Object
from rollproof.core.injection import Injection
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.faults.base import Context, Fault, LiveContext
from rollproof.faults.leaving import serving, too_few
from rollproof.probes.views import app_container

__all__ = ["EXEC_S", "InOneContainer", "container_named", "exec_permissions", "execute", "no_exec", "restarted_lately"]

EXEC_S = 10.0  # for one command, from the connection to its end
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
    ended = [
        one.child("lastState").child("terminated").time_s("finishedAt")
        for one in statuses
        if one.text("name") == container
    ]
    ago_s = time.time() - ended[0] if ended and ended[0] else _BACK_OFF_S
    return f"container {container} of {name} ended {ago_s:.0f} s ago" if ago_s < _BACK_OFF_S else ""


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
