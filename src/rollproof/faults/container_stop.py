"""Container stop: the main process of one container is asked to end (SIGTERM to process 1), as by a crash of the app.

The pod stays: no preStop runs, and it is in the Service until its readiness fails; the kubelet starts it again.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollproof.clients.kube import ApiError
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.inside import (
    InOneContainer,
    exec_permissions,
    execute,
    first_rested,
    no_exec,
    said_of,
    takeable_inside,
)
from rollproof.faults.leaving import deployment_of, serving, too_few

__all__ = ["FAULT", "ContainerStop"]

_ENDED = (None, 0, 137, 143)  # the command dies with the container that it ends: 128 + SIGKILL or SIGTERM, or no word


class ContainerStop(InOneContainer):
    """`kill -TERM 1` by pods/exec: SIGKILL has no effect on process 1 from inside."""

    name = "container-stop"
    starts_container = True
    peers = "Krkn container scenarios, Litmus container-kill and Chaos Mesh container-kill (from the node)"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return exec_permissions(
            target.cluster.namespace, "to end a container's main process, tried with signal 0 first"
        )

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod, by name, whose container has not been restarted lately and has a shell."""
        deployment, namespace = deployment_of(context), context.target.cluster.namespace
        ready, container, reason = takeable_inside(context, deployment)
        if reason:
            return context.skip(self, reason)
        name, reason = first_rested(context, tuple(ready), container)
        if reason := reason or no_exec(context, name, container):
            return context.skip(self, reason)
        pod = ready[name]
        args = {
            "kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid, "container": container,
            "restarts": pod.restarts, "members": len(ready),
        }  # fmt: skip
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=args,
            change=f"SIGTERM to the main process of container {container} (uid {pod.uid}), 1 of {len(ready)}",
            undo="none needed: the kubelet starts it again",
            effect_after_s=deployment["spec"]["template"]["spec"].get("terminationGracePeriodSeconds", 30),
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command; that its own session dies with the container is expected."""
        args = injection.args
        try:
            done = execute(live.kube, args["namespace"], args["name"], args["container"], "kill -TERM 1")
        except ApiError as error:
            if error.status == 404:
                return Void(f"pod {args['name']} was gone when its container was to be ended")
            raise
        if done.refused or done.code not in _ENDED:
            return Void(f"kill -TERM 1 in pod {args['name']} failed: {said_of(done)}")
        return Injected({"uid": args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The same pod has restarted its container; another pod instead is somebody else's doing."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"] or pod.terminating:
            return Void(f"pod {args['name']} was taken away by somebody else, before its container was seen to restart")
        if pod.restarts <= args["restarts"]:
            return None
        watched = f"container {args['container']} of {injection.subject} was restarted: {pod.restarts} times"
        return Effect(watched, (args["uid"],))

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """That pod and as many as before must serve: ready, and among the Service's endpoints."""
        args, serve = injection.args, serving(live)
        if args["uid"] not in serve:
            return f"pod {args['name']} is not ready, not in the Service, or gone"
        return too_few(serve, args["members"])


FAULT = ContainerStop()
