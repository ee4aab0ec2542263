"""At rest: the Deployment and the Application are there, are those of the target, and nothing moves. Reads only."""

from __future__ import annotations

from rollproof.clients.application import check_spec
from rollproof.clients.argo import ApplicationState, Argo, application_state
from rollproof.clients.kube import Kube, Object
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, InputError
from rollproof.probes.views import DeploymentView, app_container

__all__ = ["check_application", "check_deployment"]


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
    template = Outside.of(found["spec"]["template"]["spec"], f"the pod template of Deployment {cluster.deployment!r}")
    if not app_container(template, cluster.container, target.env_repo.image).text("name"):
        message = f"the pods of {cluster.deployment!r} have several containers: {', '.join(containers)}"
        raise InputError(message, "say which is the app: cluster.container")
    view = DeploymentView.of(found, cluster.container, target.env_repo.image)
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


def check_application(target: Target, argo: Argo, *, moving: bool = False) -> Object:
    """The Application, if it is there, is the one of this target, and is at rest; or on its way, if it may be."""
    settings = target.argocd
    name = f"Application {settings.application!r} in namespace {settings.namespace!r}"
    found = argo.kube.find("Application", settings.namespace, settings.application)
    if found is None:
        raise InputError(f"there is no {name}", "see [argocd] in the target file")
    check_spec(target, found, name)
    state = application_state(found)
    hint = f"kubectl -n {settings.namespace} get application {settings.application}"
    if not moving and (state.operation_pending or state.phase == "Running"):
        raise CannotJudgeError(f"{name} is in the middle of a sync", f"wait for its end: {hint}")
    if not moving and state.sync_status != "Synced":
        raise CannotJudgeError(f"{name} is {state.sync_status or 'not compared yet'}, not Synced{_said(state)}", hint)
    if state.health not in ({"Healthy", "Progressing"} if moving else {"Healthy"}):
        raise CannotJudgeError(f"{name} is {state.health or 'of unknown health'}, not Healthy{_said(state)}", hint)
    errors = [condition for condition in state.conditions if condition.split(":")[0].endswith("Error")]
    if errors:
        raise CannotJudgeError(f"{name} has an error: {errors[0]}", hint)
    return found


def _said(state: ApplicationState) -> str:
    return f": {state.conditions[0]}" if state.conditions else ""
