"""Readings: what a drill reads beside what every run does, by the word of its marker (`reads=`).

Each says what it reads (for `plan`), why a target cannot have it, which permissions it needs, and what must be so
before anything is touched. All but `check` is pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rollproof.clients.actions import GITHUB
from rollproof.clients.http import Http
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.kinds import KINDS
from rollproof.core.permission import Permission, each_verb
from rollproof.core.secretsearch import OBJECT_KINDS
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError, InputError, OutsideDataError
from rollproof.probes.autoscaler import check_autoscaler, missing
from rollproof.probes.jobreport import read_runs
from rollproof.probes.scanfile import read_scan
from rollproof.probes.scanreport import read_report
from rollproof.probes.secretsearch import ci_log_text
from rollproof.probes.secretvalues import live_values, secret_names

__all__ = ["READINGS", "Reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`skipped`: why this target cannot have it, "" if it can. `reads`: (object, what of it, in words).

    `does`: the same of what the drill does for it. `missing`: why this cluster cannot have it. `check` returns the good
    answer in words; InputError where the target file is wrong, CannotJudgeError where only this moment is.
    """

    name: str
    skipped: Callable[[Target], str]
    reads: Callable[[Target], Iterable[tuple[str, str]]]
    permissions: Callable[[Target], Iterable[Permission]]
    check: Callable[[Target, Http, Kube], str]
    does: Callable[[Target], Iterable[tuple[str, str]]] = lambda _: ()
    missing: Callable[[Target, Kube], str] = lambda _, __: ""


def _no_report(target: Target) -> str:
    return "" if target.jobs.report_path else "the target file names no report of the app's jobs (jobs.report_path)"


def _job_report(target: Target) -> Iterable[tuple[str, str]]:
    jobs = target.jobs
    what = f"the report of the jobs is read once in each of {jobs.periods} periods of {jobs.period_s:g} s"
    yield f"{target.app.base_url}{jobs.report_path}", what


def _check_report(target: Target, http: Http, _: Kube) -> str:
    jobs = target.jobs
    answer = http.get(jobs.report_path)
    place = f"{target.app.base_url}{jobs.report_path}"
    if answer.error or (answer.status or 0) >= 500:
        raise CannotJudgeError(f"{place} (the job report) answered {answer.error or answer.status}", "is the app well?")
    try:
        runs = read_runs(jobs, answer)
    except (LookupError, OutsideDataError) as error:
        raise InputError(f"{place}: {error}", "see jobs.report_path and runs_pointer, and docs/jobs.md") from None
    return f"{place}: {len(runs)} runs of {', '.join(sorted({run.job for run in runs})) or 'no job'}"


def _live_objects(target: Target) -> Iterable[tuple[str, str]]:
    yield f"namespace {target.cluster.namespace}", "live objects are read once; evictions are asked for as a dry run"
    if target.posture.pull_secret:
        what = "its login is tried at the image's registry: a HEAD of the manifest"
        yield f"Secret/{target.cluster.namespace}/{target.posture.pull_secret}", what


def _looking(target: Target) -> Iterable[Permission]:
    """What posture reads beyond what every run does; a check without its right is INCONCLUSIVE."""
    namespace, why = target.cluster.namespace, "posture: what may not be read is not judged"
    for resource, of in (
        ("horizontalpodautoscalers", "autoscaling"), ("poddisruptionbudgets", "policy"),
        ("networkpolicies", "networking.k8s.io"), ("events", ""),
    ):  # fmt: skip
        yield from each_verb("list", resource, namespace, why, group=of, required=False)
    for resource in ("configmaps", "serviceaccounts"):
        yield from each_verb("get", resource, namespace, why, required=False)
    yield from each_verb("list", "nodes", "", why, required=False)
    if target.faults.database is not None:
        yield from each_verb("list", "pods", target.faults.database.namespace, why, required=False)
    if target.posture.pull_secret:
        why = "posture: the login that is tried at the registry"
        yield from each_verb("get", "secrets", namespace, why, name=target.posture.pull_secret, required=False)
    why = "posture: a dry run of an eviction; without it the budget's own count has to do"
    yield from each_verb("create", "pods", namespace, why, subresource="eviction", required=False)


def _check_scan(target: Target, _: Http, __: Kube) -> str:
    """A file that cannot be used is refused before anything is looked at."""
    path = target.posture.scan_file
    if not path:
        return "no scanner's file is read"
    found = read_scan(Path(path))
    return f"{found.total} results of {found.tool} in {path}"


def _no_values(target: Target) -> str:
    named = target.secrets.names or target.secrets.values_env
    return "" if named else "the target file names no values to look for (secrets.names, or secrets.values_env)"


def _secrets(target: Target) -> Iterable[tuple[str, str]]:
    namespace, git = target.cluster.namespace, target.secrets
    for name in secret_names(git):
        yield f"Secret/{namespace}/{name}", "its values are read, to be looked for"
    size = f"up to {git.git_mib_max} MiB in {git.git_s_max:g} s"
    yield target.env_repo.url, f"every object of every ref is read, in a private clone ({size})"
    read = "workloads, Services, ConfigMaps, Ingresses, HTTPRoutes, events and the app's logs"
    yield f"namespace {namespace}", f"its {read} are read"
    yield f"Application/{target.argocd.namespace}/{target.argocd.application}", "it is read"
    if git.ci_log_file:
        yield git.ci_log_file, "it is read, as it lies there"


_READ_ANYWAY = ("Pod", "ReplicaSet")  # every run needs them, for its watches


def _may_read(target: Target) -> Iterable[Permission]:
    namespace, why = target.cluster.namespace, "a place where a secret is looked for"
    known = "to know the values that are looked for; without it name variables: secrets.values_env"
    for name in secret_names(target.secrets):
        yield from each_verb("get", "secrets", namespace, known, name=name)
    for kind in (KINDS[name] for name in (*OBJECT_KINDS, "Event") if name not in _READ_ANYWAY):
        yield from each_verb("list", kind.plural, namespace, why, group=kind.group, required=False)
    yield from each_verb("get", "pods", namespace, why, subresource="log", required=False)


def _check_values(target: Target, _: Http, kube: Kube) -> str:
    """The Secrets are there, with the keys that are named; a run could read them, which a right alone does not say."""
    settings, namespace = target.secrets, target.cluster.namespace
    if settings.ci_log_file:
        ci_log_text(Path(settings.ci_log_file))
    try:
        live = live_values(settings, kube, namespace)
    except ApiError as error:
        if error.status not in (401, 403):
            raise
        message = f"the Secrets of secrets.names may not be read: {error}"
        hint = "grant it (`rollproof rbac secrets`), or name variables: secrets.values_env"
        raise CannotJudgeError(message, hint) from None
    return f"{len(live)} values in {len(secret_names(settings))} Secrets, {len(settings.values_env)} in variables"


def _road(target: Target) -> Iterable[tuple[str, str]]:
    namespace, argocd = target.cluster.namespace, target.argocd
    yield target.env_repo.url, "the commit that set the tag is read, in a private clone"
    yield f"Application/{argocd.namespace}/{argocd.application}", "its status and history are read"
    yield f"Deployment/{namespace}/{target.cluster.deployment}", "it is read, with its ReplicaSets and pods"
    asked = f"asked for its version {target.release.proof_count} times, and each pod once"
    yield f"{target.app.base_url}{target.app.health_path}", asked
    actions, registry = target.pipeline.actions, target.pipeline.registry
    if actions.repository:
        yield (
            f"{actions.api_url or GITHUB}/repos/{actions.repository}",
            "the commit of the tag and its runs of CI are read",
        )
    if registry.pull_secret:
        yield f"Secret/{namespace}/{registry.pull_secret}", "it is read, to ask the registry as the nodes do"
    if registry.url:
        yield registry.url, "the manifest of the running tag is read, and no layer"


def _reading_the_image(target: Target) -> Iterable[Permission]:
    registry, namespace = target.pipeline.registry, target.cluster.namespace
    if registry.pull_secret:
        why = "to ask the registry as the nodes do; or name variables: pipeline.registry.password_env"
        yield from each_verb("get", "secrets", namespace, why, name=registry.pull_secret, required=False)
    if registry.url or target.pipeline.scan_file:
        why = "the platforms of the pods' nodes; without it the legs `image` and `scan` are INCONCLUSIVE"
        yield from each_verb("list", "nodes", "", why, required=False)


def _check_road(target: Target, _: Http, __: Kube) -> str:
    """A report of the scan that cannot be used is refused before anything is looked at."""
    if target.pipeline.scan_file:
        read_report(Path(target.pipeline.scan_file))
    return "env repo, Application, Deployment and app are read"


def _autoscaler(target: Target) -> Iterable[tuple[str, str]]:
    yield f"HorizontalPodAutoscaler in {target.cluster.namespace}", "the one of the Deployment is watched"


def _rise(target: Target) -> Iterable[tuple[str, str]]:
    settings, base = target.autoscaling, target.app.base_url
    most_s = settings.up_within_s + settings.ready_within_s + settings.hold_s
    change = f"{settings.rate_per_s:g} requests/s more, until the autoscaler has answered, for {most_s:g} s at most"
    yield f"{base}{settings.path or target.app.home_path}", change


def _may_watch(target: Target) -> Iterable[Permission]:
    why = "to see what the autoscaler measures and wants"
    yield from each_verb("list watch", "horizontalpodautoscalers", target.cluster.namespace, why, group="autoscaling")


READINGS: Mapping[str, Reading] = {
    "autoscaling": Reading(
        name="autoscaling", skipped=lambda _: "", reads=_autoscaler, permissions=_may_watch, does=_rise,
        missing=missing, check=lambda target, _, kube: check_autoscaler(target, kube),
    ),
    "jobs": Reading(
        name="jobs", skipped=_no_report, reads=_job_report, permissions=lambda _: (), check=_check_report
    ),
    "pipeline": Reading(
        name="pipeline", skipped=lambda _: "", reads=_road, permissions=_reading_the_image, check=_check_road
    ),
    "posture": Reading(
        name="posture", skipped=lambda _: "", reads=_live_objects, permissions=_looking, check=_check_scan
    ),
    "secrets": Reading(
        name="secrets", skipped=_no_values, reads=_secrets, permissions=_may_read, check=_check_values
    ),
}  # fmt: skip
