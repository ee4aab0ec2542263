"""DNS away from a pod: the resolver of one pod is pointed at an address where nobody answers, and back again.

The file /etc/resolv.conf belongs to the pod and not to its container: it is written in its place, for it is mounted,
and a restarted container finds it as it was left.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError
from rollproof.faults.base import Context, Effect, Injected, LiveContext, Void
from rollproof.faults.database_away import probed_within_s
from rollproof.faults.deadman import armed, held_for_s
from rollproof.faults.inside import EXEC_S, InOneContainer, exec_permissions, execute, no_exec, said_of, takeable_inside
from rollproof.faults.leaving import deployment_of, serving, too_few
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DnsAwayPod"]

_FILE = "/etc/resolv.conf"
_NOBODY = "nameserver 192.0.2.1"  # RFC 5737, TEST-NET-1: an address that is nobody's
_LOOK, _MAY_WRITE = f"cat {_FILE}", f"test -w {_FILE}"
_ANOTHER = 79  # exit code: the file is not what it was
_SIZE_MAX = 4096  # bytes of it that a plan keeps


class DnsAwayPod(InOneContainer):
    """Held. Its args: those of `InOneContainer`, the file before (`original`) and with the fault (`ours`)."""

    name = "dns-away-pod"
    held = True
    peers = "Chaos Mesh DNSChaos (its own DNS server) and Litmus pod-dns-error (an interceptor in the pod)"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """To look at pods is every run's."""
        return exec_permissions(target.cluster.namespace, f"to read {_FILE} of one pod, and to write it")

    def available(self, context: Context) -> Injection | Skip:
        """The first ready pod, by name, whose resolver may be written from within."""
        deployment, namespace = deployment_of(context), context.target.cluster.namespace
        ready, container, reason = takeable_inside(context, deployment)
        if reason:
            return context.skip(self, reason)
        name, pod = next(iter(ready.items()))
        if reason := no_exec(context, name, container, _MAY_WRITE):
            return context.skip(self, reason)
        original = execute(context.kube, namespace, name, container, _LOOK).output
        if "nameserver" not in original or len(original) > _SIZE_MAX or _NOBODY in original:
            return context.skip(self, f"{_FILE} of pod {name} is not what was expected, it begins {original[:60]!r}")
        limits, after_s = context.target.faults, probed_within_s(context)
        args = {
            "kind": "Pod", "namespace": namespace, "name": name, "uid": pod.uid, "container": container,
            "restarts": pod.restarts, "members": len(ready), "original": original,
            "ours": f"# rollproof {secrets.token_hex(8)}\n{_NOBODY}",  # no timer of an earlier run takes it for its own
            "at_most_s": held_for_s(limits, effect_after_s=after_s),
        }  # fmt: skip
        return context.injection(
            self, f"Pod/{namespace}/{name}", args=args, effect_after_s=after_s,
            change=f"{_FILE} names a server where nobody answers, for {limits.hold_s:g} s after it was felt (uid "
            f"{pod.uid}), 1 of {len(ready)}", undo="the file as it was, if it still is ours",
            dead_man=f"a timer in the pod, after {args['at_most_s']:g} s; it ends with its container, not the fault",
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One command, which looks at the file once more and arms its undo before it writes."""
        args = injection.args
        command = armed(_swap(args["ours"], args["original"]), args["at_most_s"], _swap(args["original"], args["ours"]))
        try:
            done = live.kube.pod_exec(args["namespace"], args["name"], args["container"], command, timeout_s=EXEC_S)
        except ApiError as error:
            if error.status == 404:
                return Void(f"pod {args['name']} was gone when its resolver was to be changed")
            raise
        if done.code == _ANOTHER:
            return Void(f"{_FILE} of pod {args['name']} was changed meanwhile")
        if done.code != 0:
            take_back(self.name, lambda: self.undo(live.kube, args))  # it may be written in part
            return Void(f"{_FILE} of pod {args['name']} cannot be written: {said_of(done)}")
        return Injected({"uid": args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """That pod is not ready any more; one that somebody takes away says nothing."""
        args, pod = injection.args, live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != args["uid"] or pod.terminating:
            return Void(f"pod {args['name']} was taken away by somebody else, before it was seen to miss its resolver")
        if pod.restarts > args["restarts"]:
            return Void(f"container {args['container']} of pod {args['name']} was restarted before it was seen unready")
        return None if pod.ready else Effect(f"{injection.subject} is not ready any more", (args["uid"],))

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must stay so."""
        pod = live.watches.pods().get(injection.args["name"])
        if pod is None or pod.uid != injection.args["uid"] or pod.terminating:
            return Void(f"pod {injection.args['name']} was taken away by somebody else meanwhile")
        return Void(f"pod {injection.args['name']} became ready again without its resolver") if pod.ready else None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """That pod and as many as before must serve: ready, and among the Service's endpoints."""
        args, serve = injection.args, serving(live)
        if args["uid"] not in serve:
            return f"pod {args['name']} is not ready, not in the Service, or gone"
        return too_few(serve, args["members"])

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """The file as it was, if it still is as we wrote it. A pod that is gone has taken it along."""
        pod = kube.find("Pod", args["namespace"], args["name"])
        if pod is None or pod["metadata"]["uid"] != args["uid"]:
            return Undone("not-needed", reason=f"pod {args['name']} is gone, and its resolver with it")
        found = _ran(kube, args, _LOOK).output
        if _same(found, args["original"]):
            return Undone("not-needed", reason="it is as before")
        if not args["ours"].startswith(found.rstrip("\n")):  # a disk that is full takes a part of it, or nothing
            return Undone(
                "left", reason="somebody else has changed it since", expected=args["ours"], found=found[:_SIZE_MAX]
            )
        _ran(kube, args, _swap(found, args["original"]))
        return Undone("done")


def _same(found: str, text: str) -> bool:
    """Line ends at the end do not count: a shell takes them off."""
    return found.rstrip("\n") == text.rstrip("\n")


def _swap(before: str, after: str) -> str:
    """A shell command: the file's content becomes `after` if it is `before`; else it ends with _ANOTHER."""
    was, text = (shlex.quote(one.rstrip("\n")) for one in (before, after))
    return f'{{ [ "$({_LOOK})" = {was} ] || exit {_ANOTHER}; }}; printf "%s\\n" {text} >{_FILE}'


def _ran(kube: Kube, args: Mapping[str, Any], script: str) -> Executed:
    """Run it in the pod. CannotJudgeError if it fails: then the undo is tried again."""
    done = execute(kube, args["namespace"], args["name"], args["container"], script)
    if done.code != 0:
        raise CannotJudgeError(f"{_FILE} of pod {args['name']} could not be read or written: {said_of(done)}")
    return done


FAULT = DnsAwayPod()
