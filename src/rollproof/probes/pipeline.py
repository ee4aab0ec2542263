"""Pipeline: one look at each place that a version passes on its road to users. It reads, and changes nothing.

Each place is asked once, and its answer, or why there is none, is one fact (`core.pipeline`). It must not decide
whether an answer is good; what could not be read is never taken for absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rollproof.clients.actions import GITHUB, Actions, WorkflowRun
from rollproof.clients.argo import Argo, application_state
from rollproof.clients.kube import Kube, Object
from rollproof.clients.oci import Registry
from rollproof.clients.registry import image_parts
from rollproof.clients.repo import EnvRepo
from rollproof.clients.tagcommit import read_tag_commit
from rollproof.core.event import Outcome, Recorder
from rollproof.core.outside import Outside
from rollproof.core.pipeline import (
    DeliverySeen,
    EnvCommitSeen,
    ImageSeen,
    NodesSeen,
    PartSeen,
    Place,
    PlatformSeen,
    PodImage,
    ReportSeen,
    RolloutSeen,
    RunSeen,
    subject_of,
)
from rollproof.core.pipelinewords import SOURCE, PipelineWord
from rollproof.core.target import Target
from rollproof.core.typedviews import stored
from rollproof.errors import CannotJudgeError, RollproofError
from rollproof.probes.postureviews import controller_uid
from rollproof.probes.registrylogin import registry_login
from rollproof.probes.scanreport import read_report
from rollproof.probes.views import DeploymentView, PodView, label_selector

__all__ = ["PipelineLook"]

_REVISION = "deployment.kubernetes.io/revision"
_SYNCS_MAX = 50  # of the Application's history that are looked at: each is a question to git
_COMPLETE = "NewReplicaSetAvailable"  # the Deployment controller's reason for "the rollout is complete"


class _AbsentError(RollproofError):
    """The target file does not name such a place."""


class PipelineLook:
    """Looks at one target: what is read early is what later questions are about. `environ`: the named variables."""

    def __init__(
        self, target: Target, kube: Kube, argo: Argo, repo: EnvRepo, recorder: Recorder, environ: Mapping[str, str]
    ) -> None:
        self._target, self._kube, self._argo, self._repo, self._recorder = target, kube, argo, repo, recorder
        self._environ = environ
        self.commit: EnvCommitSeen | None = None
        self.rollout: RolloutSeen | None = None

    def all(self) -> None:
        """Ask every place once, and record each answer. Never raises for what cannot be read."""
        self._ask(Place.ENV_REPO, self._env_commit)
        self._ask(Place.APPLICATION, self._delivery)
        self._ask(Place.DEPLOYMENT, self._rollout)
        self._ask(Place.ACTIONS, self._run)
        self._ask(Place.REGISTRY, self._image)
        self._ask(Place.NODES, self._nodes)
        self._ask(Place.SCAN_REPORT, self._report)

    def tag_again(self) -> None:
        """Look whether git still has the tag that all was about; if not, or nobody knows, the env commit is unread.

        Else a release meanwhile would look like another version in the cluster than git's.
        """
        if self.commit is None:
            return
        try:
            tag = self._repo.tag()
        except RollproofError as error:
            reason = f"whether it still has {self.commit.tag} is not known: {error}"
        else:
            reason = f"its tag was set from {self.commit.tag} to {tag} while the other places were read"
            if tag == self.commit.tag:
                return
        data = {"reason": reason}
        self._recorder.record(
            SOURCE, subject_of(Place.ENV_REPO), PipelineWord.UNREAD, outcome=Outcome.UNKNOWN, data=data
        )

    def _ask(self, place: Place, read: Callable[[], Any]) -> None:
        begun_s = time.monotonic()
        try:
            data, what, outcome = stored(read()), PipelineWord.READ, Outcome.OK
        except _AbsentError as error:
            data, what, outcome = {"reason": str(error)}, PipelineWord.ABSENT, Outcome.OK
        except RollproofError as error:
            data, what, outcome = {"reason": str(error)}, PipelineWord.UNREAD, Outcome.UNKNOWN
        self._recorder.record(
            SOURCE, subject_of(place), what, outcome=outcome, start_s=begun_s, end_s=time.monotonic(), data=data
        )

    # -- git ---------------------------------------------------------------------------------------------------------

    def _env_commit(self) -> EnvCommitSeen:
        found = read_tag_commit(self._repo, self._target.env_repo.image)
        self.commit = EnvCommitSeen(
            revision=found.revision, tag=found.tag, tag_before=found.tag_before, image=self._repo.image(),
            committed_s=found.committed_s, author=found.author, author_email=found.author_email,
            committer=found.committer, committer_email=found.committer_email, parents=found.parents,
            others=found.others,
        )  # fmt: skip
        return self.commit

    # -- Argo CD -----------------------------------------------------------------------------------------------------

    def _delivery(self) -> DeliverySeen:
        if self.commit is None:
            raise CannotJudgeError("the env commit is not known, and this is about it")
        commit, looked_s = self.commit.revision, time.time()  # what git is asked below takes time of its own
        item = self._argo.read()
        state = application_state(item)
        deployed, started_s, deployed_s = self._first_sync(item, commit)
        carries = self._repo.is_ancestor(commit, state.sync_revision)
        return DeliverySeen(
            sync_status=state.sync_status, revision=state.sync_revision, carries=carries,
            behind=not carries and self._repo.is_ancestor(state.sync_revision, commit), phase=state.phase,
            operation_carries=self._repo.is_ancestor(commit, state.operation_revision), message=state.message,
            deployed=deployed, started_s=started_s, deployed_s=deployed_s, looked_s=looked_s,
        )  # fmt: skip

    def _first_sync(self, item: Object, commit: str) -> tuple[bool, float | None, float | None]:
        """Whether a sync of the Application's history carries the commit; when the first of them began and ended.

        The history keeps the newest ten: where all of them carry it and older ones are gone, the first is not known.
        """
        entries = Outside.of(item, "the Application").child("status").objects("history")[-_SYNCS_MAX:]
        first, is_first = None, False
        for entry in reversed(entries):
            if not self._repo.is_ancestor(commit, entry.text("revision")):
                is_first = True
                break
            first, is_first = entry, entry.integer("id") == 0
        if first is None or not is_first:
            return first is not None, None, None
        return True, first.time_s("deployStartedAt"), first.time_s("deployedAt")

    # -- the cluster -------------------------------------------------------------------------------------------------

    def _rollout(self) -> RolloutSeen:
        cluster, image = self._target.cluster, self._target.env_repo.image
        item = self._kube.get("Deployment", cluster.namespace, cluster.deployment)
        view = DeploymentView.of(item, cluster.container, image)
        labels = label_selector(item)
        sets = [
            one for one in self._kube.list("ReplicaSet", cluster.namespace, labels=labels)["items"]
            if controller_uid(one) == view.uid
        ]  # fmt: skip
        owned = {one["metadata"].get("uid") for one in sets}
        pods = self._kube.list("Pod", cluster.namespace, labels=labels)["items"]
        current = [one for one in sets if _revision(one) == _revision(item)]
        self.rollout = RolloutSeen(
            image=view.image, generation=view.generation, observed=view.observed_generation,
            wanted=view.spec_replicas, replicas=view.replicas, updated=view.updated, ready=view.ready,
            deadline_exceeded=view.deadline_exceeded, completed_s=_completed_s(item),
            made_s=_metadata(current[0]).time_s("creationTimestamp") if len(current) == 1 else None,
            pods=tuple(
                self._pod(one) for one in pods
                if controller_uid(one) in owned and not PodView.of(one, cluster.container, image).ended
            ),
        )  # fmt: skip
        return self.rollout

    def _pod(self, item: Object) -> PodImage:
        view = PodView.of(item, self._target.cluster.container, self._target.env_repo.image)
        return PodImage(
            name=_metadata(item).needed("name"), image=view.image, image_id=view.image_id, node=view.node,
            ready=view.ready,
        )  # fmt: skip

    # -- CI ----------------------------------------------------------------------------------------------------------

    def _run(self) -> RunSeen:
        settings = self._target.pipeline.actions
        if not settings.repository:
            raise _AbsentError("the target file names no repository of the app (pipeline.actions.repository)")
        if self.commit is None:
            raise CannotJudgeError("the tag is not known, and this is about its commit")
        api = Actions(settings.api_url or GITHUB, settings.repository, self._environ.get(settings.token_env, ""))
        commit = api.commit(self.commit.tag)
        runs = [run for run in api.runs(commit.sha) if settings.workflow in ("", run.path.rpartition("/")[2])]
        if not runs:
            return RunSeen(sha=commit.sha, committed_s=commit.committed_s)
        run = max(self._before(runs, self.commit.committed_s) or runs, key=lambda one: one.number)
        parts = tuple(
            PartSeen(
                name=one.name, status=one.status, conclusion=one.conclusion, ended_s=one.ended_s, attempt=one.attempt
            )
            for one in api.parts(run.number)
        )  # fmt: skip
        return RunSeen(
            sha=commit.sha, committed_s=commit.committed_s, number=run.number, path=run.path, status=run.status,
            conclusion=run.conclusion, attempt=run.attempt, started_s=run.started_s, parts=parts,
        )  # fmt: skip

    def _before(self, runs: Sequence[WorkflowRun], committed_s: float) -> list[WorkflowRun]:
        """Those that may have brought the tag: a nightly run of the same commit, or one by hand, came after it."""
        latest_s = committed_s + self._target.pipeline.clock_slack_s
        return [run for run in runs if run.started_s is None or run.started_s <= latest_s]

    # -- the image ---------------------------------------------------------------------------------------------------

    def _image(self) -> ImageSeen:
        settings = self._target.pipeline.registry
        if not settings.url:
            raise _AbsentError("the target file names no registry (pipeline.registry.url)")
        if self.commit is None:
            raise CannotJudgeError("the tag is not known, and this is about its image")
        image, namespace = f"{self.commit.image}:{self.commit.tag}", self._target.cluster.namespace
        login, as_whom = registry_login(settings, self._kube, namespace, self._environ, image)
        _, name, _ = image_parts(image)
        found = Registry(settings.url, login).image(name, self.commit.tag)
        return ImageSeen(
            image=self.commit.image, tag=self.commit.tag, digest=found.digest, is_index=found.is_index, login=as_whom,
            platforms=tuple(
                PlatformSeen(platform=one.platform, digest=one.digest, config=one.config) for one in found.platforms
            ),
        )  # fmt: skip

    def _report(self) -> ReportSeen:
        if not self._target.pipeline.scan_file:
            raise _AbsentError("the target file names no report of the scan (pipeline.scan_file)")
        return read_report(Path(self._target.pipeline.scan_file))

    def _nodes(self) -> NodesSeen:
        if not (self._target.pipeline.registry.url or self._target.pipeline.scan_file):
            raise _AbsentError("without a registry nothing is compared with the nodes (pipeline.registry.url)")
        if self.rollout is None:
            raise CannotJudgeError("the Deployment could not be read, and this is about its pods' nodes")
        wanted, found = {pod.node for pod in self.rollout.pods}, {}
        for item in self._kube.list("Node", "")["items"]:
            node = Outside.of(item, "a node")
            if (name := node.child("metadata").needed("name")) in wanted:
                info = node.child("status").child("nodeInfo")
                found[name] = f"{info.needed('operatingSystem')}/{info.needed('architecture')}"
        return NodesSeen(platforms=found)


def _metadata(item: Object) -> Outside:
    return Outside.of(item, "an object of the API").child("metadata")


def _revision(item: Object) -> str:
    return _metadata(item).table("annotations").get(_REVISION, "")


def _completed_s(item: Object) -> float | None:
    """When the rollout of the current ReplicaSet was complete, by the Deployment's own condition."""
    conditions = Outside.of(item, "the Deployment").child("status").objects("conditions")
    done = (one for one in conditions if (one.text("type"), one.text("reason")) == ("Progressing", _COMPLETE))
    return next((one.time_s("lastUpdateTime") for one in done), None)
