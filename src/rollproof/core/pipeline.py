"""Pipeline: a version's road from the app's commit to users, leg by leg: facts of what was seen, and their reader.

Each place that is asked (`Place`) has one fact: its answer as a typed view, or why there is none. Times are seconds
since 1970 by the clock of whoever wrote them: a committer's machine, CI's, the cluster's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from rollproof.core.facts import Facts
from rollproof.core.outside import Outside
from rollproof.core.pipelinewords import SOURCE, PipelineWord
from rollproof.core.typedviews import read_view

__all__ = [
    "VIEWS",
    "AbsentError",
    "DeliverySeen",
    "EnvCommitSeen",
    "ImageSeen",
    "NodesSeen",
    "PartSeen",
    "Place",
    "PlatformSeen",
    "PodImage",
    "ReportSeen",
    "ResultSeen",
    "Road",
    "RolloutSeen",
    "RunSeen",
    "UnknownError",
    "digest_of",
    "subject_of",
    "view_of",
]  # fmt: skip

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Place(StrEnum):
    """Who is asked."""

    ENV_REPO = "env-repo"
    APPLICATION = "application"
    DEPLOYMENT = "deployment"
    ACTIONS = "actions"
    REGISTRY = "registry"
    NODES = "nodes"
    SCAN_REPORT = "scan-report"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvCommitSeen:
    """The newest commit that set the tag which the env repo has now. The branch's first, which sets everything, has no
    parents, and no tag before it.

    others: what it changes beside the tag's own line: paths, or "path, more than the tag". image: as it is pulled.
    """

    revision: str
    tag: str
    tag_before: str = ""
    image: str
    committed_s: float
    author: str
    author_email: str
    committer: str
    committer_email: str
    parents: int
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySeen:
    """The Argo CD Application. An operation or a revision "carries" the env commit if that is in its history.

    behind: the compared revision is older than the env commit. deployed: a sync of its history carries it; started_s,
    deployed_s: when the first such began and ended, None where that is not known. looked_s: when this was asked for, by
    our clock.
    """

    sync_status: str = ""
    revision: str = ""
    carries: bool = False
    behind: bool = False
    phase: str = ""
    operation_carries: bool = False
    message: str = ""
    deployed: bool = False
    started_s: float | None = None
    deployed_s: float | None = None
    looked_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PodImage:
    """A pod of the Deployment: the image that it was told, and the one that its node took for it (imageID)."""

    name: str
    image: str = ""
    image_id: str = ""
    node: str = ""
    ready: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSeen:
    """The Deployment and its pods. image: of the app's container in the template.

    made_s: when the current ReplicaSet was made; completed_s: when its rollout was complete
    (NewReplicaSetAvailable); None where nobody says so.
    """

    image: str = ""
    generation: int
    observed: int
    wanted: int
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    deadline_exceeded: bool = False
    made_s: float | None = None
    completed_s: float | None = None
    pods: tuple[PodImage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSeen:
    """The image for one platform ("linux/arm64/v8"): digests of its manifest and of its configuration."""

    platform: str
    digest: str
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSeen:
    """What the tag names in the registry now. login: as whom it was asked."""

    image: str
    tag: str
    digest: str
    is_index: bool
    login: str
    platforms: tuple[PlatformSeen, ...] = ()

    @property
    def digests(self) -> frozenset[str]:
        """Each digest that a node may have for it: of the index, of a manifest, or (where it was loaded) the config."""
        return frozenset({self.digest, *(digest for one in self.platforms for digest in (one.digest, one.config))})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesSeen:
    """The platforms of the nodes that the Deployment's pods are on, by node: "linux/arm64"."""

    platforms: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSeen:
    """A job of a run, or a step of one ("job/step"), in one of its attempts (0: which is not known)."""

    name: str
    status: str = ""
    conclusion: str = ""
    ended_s: float | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeen:
    """The app's commit that the tag names, and the newest run of CI for it: `number` 0 where there is none."""

    sha: str
    committed_s: float | None = None
    number: int = 0
    path: str = ""
    status: str = ""
    conclusion: str = ""
    attempt: int = 1
    started_s: float | None = None
    parts: tuple[PartSeen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSeen:
    """One result of a scan. severity: of `pipelinesettings.SEVERITIES`, or "" for none; place: the package or file."""

    name: str
    severity: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSeen:
    """A scanner's report of an image: what it says of the image, and the gravest of what was found.

    kind: of what it is ("container_image"), "" where it does not say. config: digest of the image's configuration
    (ImageID), which is of one platform; digests: of the manifest or index by which the image was asked for
    (RepoDigests); platform: "linux/arm64", "" where it does not say. made_s: when the scan was made, None where it does
    not say. scanned: whether anything was. total: also those results that are not kept; unranked: those of a severity
    that is none of SEVERITIES.
    """

    tool: str
    artifact: str = ""
    kind: str = ""
    config: str = ""
    digests: tuple[str, ...] = ()
    platform: str = ""
    made_s: float | None = None
    scanned: bool = True
    total: int = 0
    unranked: int = 0
    results: tuple[ResultSeen, ...] = ()


def digest_of(reference: str) -> str:
    """The digest in `name@sha256:…` (also a pod's imageID) or `sha256:…`; "" if there is none."""
    found = _DIGEST.search(reference)
    return found[0] if found else ""


VIEWS: Mapping[Place, type] = {
    Place.ENV_REPO: EnvCommitSeen,
    Place.APPLICATION: DeliverySeen,
    Place.DEPLOYMENT: RolloutSeen,
    Place.ACTIONS: RunSeen,
    Place.REGISTRY: ImageSeen,
    Place.NODES: NodesSeen,
    Place.SCAN_REPORT: ReportSeen,
}

T = TypeVar("T")


class UnknownError(Exception):
    """Nothing is known of a place; the message says why."""


class AbsentError(Exception):
    """The target has no such place; the message says so."""


def subject_of(place: Place) -> str:
    """The subject of a place's fact."""
    return f"Pipeline/{place}"


def view_of(place: str, data: Outside) -> Any:
    """The view in a fact's data; the error of `data` for the first field that is of another type."""
    return read_view(VIEWS[Place(place)], data) if place in {*VIEWS} else None


class Road:
    """What was seen of one road. `view` gives a place's answer, or raises UnknownError or AbsentError."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.target = facts.plan.target
        told = (event for event in facts.find(source=SOURCE) if event.drill == facts.drill)
        self._told = {event.subject.partition("/")[2]: event for event in told}  # the last of each place
        self.used: list[int] = []  # seq of each fact that was looked at since it was last emptied

    @property
    def asked(self) -> bool:
        """Whether anybody was asked at all."""
        return bool(self._told)

    def view(self, cls: type[T]) -> T:
        """The answer of that type."""
        place = next(one for one, view in VIEWS.items() if view is cls)
        event = self._told.get(place)
        if event is None:
            raise UnknownError(f"{place}: nobody has asked")
        self.used.append(event.seq)
        reason = str(event.data.get("reason") or "no reason was noted")
        if event.what == PipelineWord.ABSENT:
            raise AbsentError(reason)
        if event.what != PipelineWord.READ:
            raise UnknownError(reason)
        return read_view(cls, Outside.of(event.data, event.subject))
