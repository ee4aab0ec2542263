"""Preflight: everything that would make a run pointless, asked before anything is touched. Reads only.

One list of questions for both: a run stops at the first bad answer, the doctor prints every answer. Each obstacle is
one message with its next step. What is wrong with the request ends with exit 2 (InputError), what is only wrong now
with exit 3 (CannotJudgeError). It must never repair anything, and never wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from rollproof.clients.argo import Argo, application_state, argocd_kube
from rollproof.clients.http import Http
from rollproof.clients.kube import Kube, Object
from rollproof.clients.registry import RegistryAt, check_image
from rollproof.clients.repo import EnvRepo
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission
from rollproof.core.plan import Plan
from rollproof.core.reasons import BadKind
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, FenceError, InputError
from rollproof.faults.base import Context
from rollproof.faults.registry import check_names, fault_named, faults_of, is_kept_away
from rollproof.judge.checkers.posture.table import check_names as check_posture_names
from rollproof.preflight.appchecks import check_app, check_control
from rollproof.preflight.clocks import check_clocks
from rollproof.preflight.faultplans import plan_fault
from rollproof.preflight.fences import check_load_fence, check_namespace_fence, check_opt_in
from rollproof.preflight.lock import RunLock
from rollproof.preflight.permissions import is_granted, needed_permissions
from rollproof.preflight.planning import Found, Order, check_order, make_plan
from rollproof.preflight.readings import READINGS
from rollproof.preflight.rest import check_application, check_deployment
from rollproof.probes.registrylogin import registry_at
from rollproof.probes.views import DeploymentView, image_tag
from rollproof.probes.ways import PodWays, look_at_pods
from rollproof.suites import Drill
from rollproof.target.file import LoadedTarget

__all__ = [
    "QUESTIONS_OF_A_DRILL", "QUESTIONS_OF_A_TARGET", "Clients", "Look", "Question", "look", "see_permissions",
]  # fmt: skip


@dataclass(slots=True)
class Clients:
    """The ways to one target: its cluster, Argo CD (maybe in another cluster), the app, the env repo."""

    kube: Kube
    argo: Argo
    http: Http
    repo: EnvRepo
    ways: PodWays | None = None  # to a single pod; what preflight has found out of them, the run goes by
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)  # the variables that the target file names

    @classmethod
    def of(cls, loaded: LoadedTarget) -> Self:
        """Make them; nothing is asked yet."""
        target = loaded.target
        kube = Kube(target.cluster.context, target.cluster.kubeconfig)
        return cls(
            kube=kube,
            argo=Argo(argocd_kube(target, kube), target.argocd.namespace, target.argocd.application),
            http=Http(target.app, loaded.environ, timeout_s=target.traffic.timeout_s),
            repo=EnvRepo(target.env_repo, loaded.environ),
            ways=PodWays(kube, target.cluster.namespace, target.app.pod_port),
            environ=loaded.environ,
        )

    def close(self) -> None:
        """Remove the clone."""
        self.repo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(slots=True, kw_only=True)
class Look:
    """One look at a target, for one order: what was asked for, and what was found so far."""

    order: Order
    target: Target  # as the order wants it
    clients: Clients
    run_id: str = ""
    deployment: DeploymentView | None = None
    application: Object | None = None
    head: str = ""
    tag: str = ""  # what the overlay says
    image: str = ""  # the image's name as it is pulled: `newName` where the overlay has one
    plan: Plan | None = None
    granted: dict[Permission, bool] = field(default_factory=dict)  # so that each permission is asked for once

    @property
    def running(self) -> str:
        """The version that the Deployment is declared with; what the overlay says where the Deployment is unknown."""
        return image_tag(self.deployment.image) if self.deployment else self.tag

    @property
    def awaited(self) -> bool:
        """Has the commit landed that somebody else makes and we wait for, while the old version still runs?"""
        observing = self.target.release.mode == "observe" and self.order.deploys
        return observing and self.order.sha == self.tag and self.tag != self.running

    @property
    def pushes(self) -> bool:
        """Will a commit of ours be pushed?"""
        return self.target.release.mode == "push" and self.order.deploys

    def is_granted(self, permission: Permission) -> bool:
        """Ask the API server that the permission belongs to."""
        if permission not in self.granted:
            self.granted[permission] = is_granted(permission, self.clients.kube, self.clients.argo.kube)
        return self.granted[permission]

    @property
    def drills(self) -> tuple[Drill, ...]:
        """The order's drills. Of several, each without the faults that it lacks a permission for: those are skipped."""
        if not self.order.is_set:
            return self.order.chosen
        return tuple(
            replace(drill, faults=tuple(name for name in drill.faults if not self.refused(name)))
            for drill in self.order.chosen
        )

    def refused(self, fault: str) -> str:
        """The permissions that are missing for a fault, in words; "" if none is."""
        return "; ".join(str(permission) for permission in self.missing(fault_named(fault).permissions(self.target)))

    def missing(self, permissions: Iterable[Permission]) -> tuple[Permission, ...]:
        """The required ones that are not granted: with any of them missing a drill would break in the middle."""
        return tuple(
            permission for permission in permissions if permission.required and not self.is_granted(permission)
        )


@dataclass(frozen=True, slots=True)
class Question:
    """`ask` returns the good answer in words, or raises with what is wrong and what to do.

    `needs` are questions without whose good answer it cannot be asked.
    """

    name: str
    ask: Callable[[Look], str]
    needs: tuple[str, ...] = ()


def look(order: Order, target: Target, clients: Clients, *, run_id: str) -> Plan:
    """Ask everything that the order needs, in order; the plan is the answer. The first bad answer is raised."""
    check_order(order, target)
    seen = Look(order=order, target=target, clients=clients, run_id=run_id)
    for question in (*QUESTIONS_OF_A_TARGET, *QUESTIONS_OF_A_DRILL):
        question.ask(seen)
    return _made(seen.plan)


def _made(plan: Plan | None) -> Plan:
    if plan is None:
        raise RuntimeError("no question of the look has made the plan")
    return plan


# -- of the target ----------------------------------------------------------------------------------------------------


def _see_fences(seen: Look) -> str:
    target = seen.target
    check_namespace_fence(target, target.cluster.namespace)
    check_load_fence(target)
    return f"namespaces {', '.join(target.fences.namespaces)}; load to {', '.join(target.fences.load_hosts)}"


def _see_limits(seen: Look) -> str:
    check_names(seen.target)
    check_posture_names(seen.target)
    limits = seen.target.faults
    single = "".join(f", {name} {limit_s:g} s" for name, limit_s in limits.recovery_limits_s.items())
    return f"recovery within {limits.recovery_limit_s:g} s{single}"


def _see_api(seen: Look) -> str:
    kube = seen.clients.kube
    return f"{kube.version()} by context {kube.context}"


def _see_argo_api(seen: Look) -> str:
    kube, argo_kube = seen.clients.kube, seen.clients.argo.kube
    same = argo_kube is kube
    return f"{kube.context}, as the app" if same else f"{argo_kube.version()} by context {argo_kube.context}"


def _see_permissions_to_look(seen: Look) -> str:
    drills = seen.drills
    if seen.missing(needed_permissions(seen.target, drills)):  # then there will be no plan: name all at once
        names = [name for drill in drills for name in faults_of(drill, seen.target)]
        names = [name for name in names if not is_kept_away(fault_named(name), seen.target)]
        _refuse(seen.missing(needed_permissions(seen.target, drills, faults=names)))
    return "what a run reads may be read"


def _refuse(missing: Sequence[Permission]) -> None:
    """Refuse a drill that would fail in the middle for want of a permission."""
    if missing:
        message = f"permissions are missing: {'; '.join(str(permission) for permission in missing)}"
        raise CannotJudgeError(message, "`rollproof doctor` says what each is for")


def _see_lock(seen: Look) -> str:
    RunLock(seen.clients.kube, seen.target.cluster.namespace, "preflight").check_free()
    return "no other run holds this target"  # under another run nothing is at rest


def _see_deployment(seen: Look) -> str:
    view = check_deployment(seen.target, seen.clients.kube)
    seen.deployment = view
    return f"{view.available} of {view.spec_replicas} replicas available, {view.image}"


def _see_opt_in(seen: Look) -> str:
    cluster, kube = seen.target.cluster, seen.clients.kube
    deployment = kube.find("Deployment", cluster.namespace, cluster.deployment)
    return check_opt_in(seen.target, kube, cluster.namespace, deployment)


def _see_env_repo(seen: Look) -> str:
    repo, wanted = seen.clients.repo, seen.target.env_repo
    seen.head, seen.tag = repo.head(), repo.tag()
    seen.image = repo.image()
    if seen.pushes:
        repo.check_overrides(seen.target.argocd.application)
        repo.rehearse()  # an entry that cannot be changed is no matter of a moment: it is refused as what it is
    return f"{wanted.branch} at {seen.head[:10]}: {wanted.image}:{seen.tag} in {wanted.overlay}"


def _see_application(seen: Look) -> str:
    seen.application = check_application(seen.target, seen.clients.argo, moving=seen.awaited)
    state = application_state(seen.application)
    return f"{state.sync_status} at {state.sync_revision[:10]}, {state.health}, project {seen.target.argocd.project}"


def _see_overlay(seen: Look) -> str:
    if seen.awaited:
        return f"{seen.tag} is committed and not rolled out yet: that is what we wait for"
    if seen.running != seen.tag:
        deployment = seen.target.cluster.deployment
        message = f"the overlay says {seen.tag}, but {deployment} is declared with {seen.running}"
        raise CannotJudgeError(
            message, "a deploy is under way, or the overlay is not the one that the Application follows"
        )
    return f"the overlay and the Deployment say {seen.tag}"


def _see_push(seen: Look) -> str:
    if seen.target.release.mode != "push":
        return 'not needed: release.mode is "observe"'
    if not seen.order.deploys:
        return "not needed: nothing is deployed"
    seen.clients.repo.may_push()
    return "git push --dry-run of a commit to the branch was accepted; hooks and rules are met only by a real one"


def _see_app(seen: Look) -> str:
    app = seen.target.app
    check_app(app, seen.clients.http, seen.running)
    return f"{app.base_url}: version {seen.running}, database {app.database_ok}"


def _see_pods(seen: Look) -> str:
    target, kube = seen.target, seen.clients.kube
    return look_at_pods(target, kube, seen.clients.ways or PodWays(kube, target.cluster.namespace, target.app.pod_port))


def _see_readings(seen: Look) -> str:
    lacking = _look_at_readings(seen)
    clients = seen.clients
    said = [reason or READINGS[name].check(seen.target, clients.http, clients.kube) for name, reason in lacking.items()]
    return "; ".join(said) or "nothing beside what every run reads"


def _look_at_readings(seen: Look) -> dict[str, str]:
    """What the drills read, by name: why the target or its cluster cannot have it, "" if it can."""
    names = dict.fromkeys(name for drill in seen.order.chosen for name in drill.reads)
    target, kube = seen.target, seen.clients.kube
    return {name: READINGS[name].skipped(target) or READINGS[name].missing(target, kube) for name in names}


def _see_control(seen: Look) -> str:
    breaks = {any(fault_named(name).breaks_entry for name in drill.faults) for drill in seen.order.chosen}
    lanes = dict.fromkeys(seen.target.control_beside(entry_breaks=one) for one in sorted(breaks))
    for control in lanes:
        check_control(control, seen.clients.http)
    return ", ".join(control.url for control in lanes if control) or "none is named in the target file"


# -- of a drill -------------------------------------------------------------------------------------------------------


def _see_plan(seen: Look) -> str:
    """The faults and the plan; both need what the questions before have found."""
    found = Found(
        running_sha=seen.running, env_repo_head=seen.head, faults=tuple(_look_at_faults(seen)),
        missing=_look_at_readings(seen),
    )  # fmt: skip
    seen.plan = make_plan(seen.order, seen.target, found, run_id=seen.run_id)
    skipped = [f"{_short(skip.fault)} is skipped: {skip.reason}" for skip in seen.plan.skips]
    injected = ", ".join(_short(injection.fault) for injection in seen.plan.injections)
    release = f"{seen.plan.old_sha} -> {seen.plan.new_sha}" if seen.plan.new_sha else injected
    return "; ".join([f"restart of {seen.plan.new_sha}" if seen.plan.restart else release or "nothing", *skipped])


def _short(fault: str) -> str:
    """The name that the person knows: of a drift its trial's."""
    return fault_named(fault).trial or fault


def _look_at_faults(seen: Look) -> Iterable[Injection | Skip]:
    clients = seen.clients
    for drill in seen.order.chosen:
        context = Context(
            drill=drill.name, target=seen.target, kube=clients.kube, argo=clients.argo, repo=clients.repo
        )  # fmt: skip
        for name in faults_of(drill, seen.target):
            if seen.order.is_set and name in drill.faults and (lacking := seen.refused(name)):
                yield context.skip(fault_named(name), f"permissions are missing: {lacking}")
                continue
            try:
                yield plan_fault(name, context)
            except FenceError as error:
                if not seen.order.is_set:
                    raise
                yield context.skip(fault_named(name), f"{error}; {error.hint}")


def see_permissions(seen: Look) -> tuple[Permission, ...]:
    """Every permission that the drills of the look use, as far as it is known what they will do."""
    faults = [one.fault for one in seen.plan.injections] if seen.plan else ()
    return needed_permissions(seen.target, seen.drills, seen.plan, faults)


def _see_permissions(seen: Look) -> str:
    _refuse(seen.missing(see_permissions(seen)))
    return "all permissions are granted"


def _see_clocks(seen: Look) -> str:
    cluster = seen.target.cluster
    deployment = seen.clients.kube.get("Deployment", cluster.namespace, cluster.deployment)
    return check_clocks(seen.order, _made(seen.plan), deployment)


def _see_commit(seen: Look) -> str:
    """The very commit that will be pushed, made in the private clone."""
    plan = _made(seen.plan)
    if not seen.pushes or plan.restart or not plan.new_sha:
        return "no commit is made"
    commit = seen.clients.repo.rehearse(plan.new_sha)
    return f"{commit.path} line {commit.line_number}: {commit.line}"


def _see_image(seen: Look) -> str:
    plan, release = _made(seen.plan), seen.target.release
    if plan.bad == BadKind.IMAGE_MISSING:
        return _see_no_image(seen, plan.new_sha)
    if not plan.needs_image or release.image_check == "none":
        return "no image is asked for"
    image = f"{seen.image or seen.target.env_repo.image}:{plan.new_sha}"
    _ask_for_image(seen, image)
    return f"{image} exists"


def _see_no_image(seen: Look, sha: str) -> str:
    """An image that must not be there, or its release is no bad one. CannotJudgeError if it is."""
    how, image = seen.target.release.image_check, f"{seen.image or seen.target.env_repo.image}:{sha}"
    if how == "none":
        return "no image is asked for"
    try:
        _ask_for_image(seen, image)
    except InputError:
        return f"{image} is missing, as release.bad says"
    raise CannotJudgeError(f"release.bad.image_missing names {sha}, and {image} exists", "name a tag without an image")


def _ask_for_image(seen: Look, image: str) -> None:
    """InputError if there is none, CannotJudgeError if that cannot be known."""
    target, how, kube = seen.target, seen.target.release.image_check, seen.clients.kube
    at = RegistryAt.of(image)
    if how == "registry":
        at = registry_at(target.pipeline.registry, kube, target.cluster.namespace, seen.clients.environ, image)
    check_image(how, image, kube, at)


QUESTIONS_OF_A_TARGET = (
    Question("fences", _see_fences),
    Question("limits of faults", _see_limits),
    Question("Kubernetes API", _see_api),
    Question("API of Argo CD", _see_argo_api, ("Kubernetes API",)),
    Question("permissions to look", _see_permissions_to_look, ("API of Argo CD",)),
    Question("lock", _see_lock, ("Kubernetes API",)),
    Question("Deployment", _see_deployment, ("Kubernetes API",)),
    Question("opt-in", _see_opt_in, ("Deployment",)),
    Question("env repo", _see_env_repo),
    Question("Application", _see_application, ("API of Argo CD",)),
    Question("overlay", _see_overlay, ("Deployment", "env repo")),
    Question("push", _see_push, ("env repo",)),
    Question("app", _see_app, ("env repo",)),
    Question("pods", _see_pods, ("Deployment",)),
    Question("control probe", _see_control),
)
QUESTIONS_OF_A_DRILL = (
    Question("plan", _see_plan, ("Deployment", "env repo", "Application")),
    Question("readings", _see_readings, ("app",)),
    Question("clocks", _see_clocks, ("Deployment",)),
    Question("permissions", _see_permissions, ("API of Argo CD",)),
    Question("commit", _see_commit, ("env repo",)),
    Question("image", _see_image),
)
