"""Preflight: everything that would make a run pointless, asked before anything is touched. Reads only.

Each obstacle is one message with its next step. What is wrong with the request ends with exit 2 (InputError), what is
only wrong now with exit 3 (CannotJudgeError). It must never repair anything, and never wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rollproof.clients.argo import ApplicationState, Argo, application_state
from rollproof.clients.http import Answer, Http
from rollproof.clients.kube import Kube, Object
from rollproof.clients.repo import EnvRepo
from rollproof.core.target import App, Control, Target
from rollproof.errors import CannotJudgeError, InputError
from rollproof.planning import Found, Order
from rollproof.probes.views import DeploymentView, image_tag
from rollproof.rights import missing_rights
from rollproof.safety import RunLock, check_load_fence, check_namespace_fence
from rollproof.targetfile import LoadedTarget

__all__ = ["Clients", "check_app", "check_application", "check_deployment", "look"]

_PUSHING = ("zero-downtime", "rollback", "release")


@dataclass(slots=True)
class Clients:
    """The ways to one target: its cluster, Argo CD (maybe in another cluster), the app, the env repo."""

    kube: Kube
    argo: Argo
    http: Http
    repo: EnvRepo

    @classmethod
    def of(cls, loaded: LoadedTarget) -> Self:
        """Make them; nothing is asked yet."""
        target = loaded.target
        kube = Kube(target.cluster.context, target.cluster.kubeconfig)
        elsewhere = target.argocd.context
        argo_kube = Kube(elsewhere, target.argocd.kubeconfig or target.cluster.kubeconfig) if elsewhere else kube
        return cls(
            kube=kube,
            argo=Argo(argo_kube, target.argocd.namespace, target.argocd.application),
            http=Http(target.app, loaded.environ, timeout_s=target.traffic.timeout_s),
            repo=EnvRepo(target.env_repo, loaded.environ),
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


def look(order: Order, target: Target, clients: Clients) -> Found:
    """Look at everything that the order needs; what was found goes into the plan."""
    check_namespace_fence(target, target.cluster.namespace)
    check_load_fence(target)
    clients.kube.version()
    _check_rights(order, target, clients)
    RunLock(clients.kube, target.cluster.namespace, "preflight").check_free()  # under another run nothing is at rest
    deployment = check_deployment(target, clients.kube)
    check_application(target, clients.argo)
    head, tag = clients.repo.head(), clients.repo.tag()
    running = image_tag(deployment.image)
    if running != tag:
        message = f"the overlay says {tag}, but {target.cluster.deployment} is declared with {running}"
        raise CannotJudgeError(
            message, "a deploy is under way, or the overlay is not the one that the Application follows"
        )
    if target.release.mode == "push" and any(drill in _PUSHING for drill in order.drills):
        clients.repo.may_push()
    check_app(target.app, clients.http, tag)
    _check_control(target.control, clients.http)
    return Found(running_sha=tag, env_repo_head=head)


def check_deployment(target: Target, kube: Kube) -> DeploymentView:
    """The Deployment, if it is there, whole and at rest."""
    cluster = target.cluster
    found = kube.find("Deployment", cluster.namespace, cluster.deployment)
    where = f"namespace {cluster.namespace!r} of context {cluster.context!r}"
    if found is None:
        raise InputError(
            f"there is no Deployment {cluster.deployment!r} in {where}", "see [cluster] in the target file"
        )
    if kube.find("Service", cluster.namespace, cluster.service) is None:
        raise InputError(f"there is no Service {cluster.service!r} in {where}", "see [cluster] in the target file")
    containers = [str(one["name"]) for one in found["spec"]["template"]["spec"]["containers"]]
    if cluster.container and cluster.container not in containers:
        raise InputError(f"Deployment {cluster.deployment!r} has no container {cluster.container!r}, only {containers}")
    if not cluster.container and len(containers) > 1:
        message = f"the pods of {cluster.deployment!r} have several containers: {', '.join(containers)}"
        raise InputError(message, "say which is the app: cluster.container")
    view = DeploymentView.of(found, cluster.container)
    if view.paused:
        raise CannotJudgeError(f"Deployment {cluster.deployment!r} is paused: no rollout would happen", "resume it")
    if not view.spec_replicas:
        raise CannotJudgeError(f"Deployment {cluster.deployment!r} is scaled to 0: nothing runs that could be judged")
    if (
        view.updated != view.spec_replicas
        or view.available != view.spec_replicas
        or view.replicas != view.spec_replicas
    ):
        seen = f"{view.updated} updated and {view.available} available of {view.spec_replicas} ({view.replicas} in all)"
        message = f"Deployment {cluster.deployment!r} is not at rest: {seen}"
        raise CannotJudgeError(
            message, f"kubectl -n {cluster.namespace} rollout status deployment/{cluster.deployment}"
        )
    return view


def check_application(target: Target, argo: Argo) -> None:
    """The Application is there, is the one of this target, and is at rest."""
    settings = target.argocd
    name = f"Application {settings.application!r} in namespace {settings.namespace!r}"
    found = argo.kube.find("Application", settings.namespace, settings.application)
    if found is None:
        raise InputError(f"there is no {name}", "see [argocd] in the target file")
    _check_spec(target, found["spec"], name)
    state = application_state(found)
    hint = f"kubectl -n {settings.namespace} get application {settings.application}"
    if state.operation_pending or state.phase == "Running":
        raise CannotJudgeError(f"{name} is in the middle of a sync", f"wait for its end: {hint}")
    if state.sync_status != "Synced":
        raise CannotJudgeError(f"{name} is {state.sync_status or 'not compared yet'}, not Synced{_said(state)}", hint)
    if state.health != "Healthy":
        raise CannotJudgeError(f"{name} is {state.health or 'of unknown health'}, not Healthy{_said(state)}", hint)
    errors = [condition for condition in state.conditions if condition.split(":")[0].endswith("Error")]
    if errors:
        raise CannotJudgeError(f"{name} has an error: {errors[0]}", hint)


def _said(state: ApplicationState) -> str:
    return f": {state.conditions[0]}" if state.conditions else ""


def _check_spec(target: Target, spec: Object, name: str) -> None:
    project = str(spec.get("project", ""))
    if project != target.argocd.project:
        message = f"{name} belongs to project {project!r}, not to {target.argocd.project!r}"
        raise InputError(message, "argocd.project in the target file must name the Application's project")
    namespace = str((spec.get("destination") or {}).get("namespace", ""))
    if namespace != target.cluster.namespace:
        message = f"{name} deploys to namespace {namespace!r}, but cluster.namespace is {target.cluster.namespace!r}"
        raise InputError(message, "see [cluster] and [argocd] in the target file")
    source = spec.get("source") or {}
    path = str(source.get("path", "")).strip("/")
    if source and path != target.env_repo.overlay.strip("/"):
        message = f"{name} follows {path!r}, but env_repo.overlay is {target.env_repo.overlay!r}"
        raise InputError(message, "see [env_repo] in the target file")
    branch = str(source.get("targetRevision") or "HEAD")
    if source and branch not in {target.env_repo.branch, "HEAD", f"refs/heads/{target.env_repo.branch}"}:
        message = f"{name} follows revision {branch!r}, but env_repo.branch is {target.env_repo.branch!r}"
        raise InputError(message, "see [env_repo] in the target file")


def check_app(app: App, http: Http, sha: str) -> None:
    """The app answers at its address, with this version and a good database."""
    health = _asked(app, http, app.health_path)
    if health.status == 404:
        raise InputError(f"{app.base_url}{app.health_path} answered 404", "see app.host and app.health_path")
    if health.status != 200:
        raise CannotJudgeError(f"{app.base_url}{app.health_path} answered {health.status}: sick before we begin")
    version = _value(app, health, app.health_path, app.version_pointer, "version_pointer")
    if version != sha:
        message = f"{app.base_url}{app.health_path} says version {version}, but the overlay says {sha}"
        raise CannotJudgeError(message, "is base_url (and host) that app, and is its deploy finished?")
    ready = _asked(app, http, app.ready_path)
    database = _value(app, ready, app.ready_path, app.database_pointer, "database_pointer")
    if database != app.database_ok:
        message = f"{app.base_url}{app.ready_path} says database {database!r}, not {app.database_ok!r}"
        raise CannotJudgeError(message, "sick before we begin; or app.database_ok names another word")
    for name in ("home_path", "slow_path", "post_path"):
        path = getattr(app, name)
        if path:
            answer = http.post(path) if name == "post_path" else http.get(path)
            _check_answer(f"{app.base_url}{path}", answer)
            _check_good(f"{app.base_url}{path}", answer, f"app.{name}")


def _check_control(control: Control | None, http: Http) -> None:
    """A control probe that fails without us could never speak for the app."""
    if control is None:
        return
    answer = http.ask(control.url, {"Host": control.host} if control.host else {})
    if answer.error:
        raise CannotJudgeError(f"{control.url} (the control probe) did not answer: {answer.error}", "see control.url")
    _check_good(f"{control.url} (the control probe)", answer, "control.url and control.host")


def _check_good(url: str, answer: Answer, place: str) -> None:
    if answer.status is None or not 200 <= answer.status < 300:
        kind = InputError if answer.status is not None and answer.status < 500 else CannotJudgeError
        raise kind(f"{url} answered {answer.status}, which load would count as a failure", f"see {place}")


def _asked(app: App, http: Http, path: str) -> Answer:
    """The answer to a GET, if it is one that load could be sent to."""
    answer = http.get(path)
    _check_answer(f"{app.base_url}{path}", answer)
    return answer


def _check_answer(url: str, answer: Answer) -> None:
    if answer.error.startswith("connect.tls"):
        raise InputError(
            f"{url}: {answer.error}", "see app.ca_file, and whether base_url has the right host and scheme"
        )
    if answer.error:
        raise CannotJudgeError(f"{url} did not answer: {answer.error}", "see app.base_url in the target file")
    if answer.status is not None and 300 <= answer.status < 400:
        where = answer.headers.get("location", "elsewhere")
        message = f"{url} redirects to {where}; a measurement must not follow redirects"
        raise InputError(message, "name the final address in app.base_url and app.host")
    if answer.status in {401, 407}:
        raise InputError(f"{url} answered {answer.status}", "name credentials: app.basic_auth_env or app.headers_env")
    if answer.status in {403, 429}:
        raise CannotJudgeError(f"{url} answered {answer.status}: a gate in front refuses us", "see app.headers_env")


def _value(app: App, answer: Answer, path: str, pointer: str, name: str) -> str:
    try:
        return str(answer.field(pointer))
    except LookupError as error:
        message = f"{app.base_url}{path} (HTTP {answer.status}): {error}"
        raise InputError(message, f"see app.{name} in the target file") from None


def _check_rights(order: Order, target: Target, clients: Clients) -> None:
    """Refuse a drill that would fail in the middle for want of a right."""
    missing = missing_rights(target, clients.kube, clients.argo.kube, order.drills)
    if missing:
        message = f"rights are missing: {'; '.join(str(right) for right in missing)}"
        raise CannotJudgeError(message, "`rollproof doctor` says what each is for")
