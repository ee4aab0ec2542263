"""Reasons: the closed lists of causes, stages and authors that facts carry and that code decides by.

A fact has the word from here, and beside it a sentence for people. Nothing decides by the sentence: it may be
reworded, translated, or hold a text from outside that happens to read like one of ours. A StrEnum is written to the
timeline as its word.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = [
    "ASIDES",
    "BREACHES",
    "CANNOT_START",
    "CAUSES_OF_BAD",
    "DEEPEST",
    "EXIT_WORDS",
    "OOM_KILLED",
    "SYMPTOMS",
    "AbortCause",
    "BadKind",
    "EventReason",
    "Found",
    "HealCause",
    "HealStage",
    "NotBack",
    "RepairedBy",
    "StageCause",
    "TakenIn",
    "UndoneBy",
    "Unrest",
    "cannot_start",
    "code_of",
]  # fmt: skip


class AbortCause(StrEnum):
    """Which budget was spent when a drill was ended at once."""

    DEAD = "dead"  # no lane of the app had a good answer for too long
    FAILURES = "failures"  # too many requests were lost
    PODS = "pods"  # too many pods were away: the blast radius
    NODES = "nodes"  # too many nodes were not ready that no fault of ours names


class StageCause(StrEnum):
    """Why a stage of a release or rollback failed, as far as we decide it; a pod's own reason comes from Kubernetes."""

    ABORTED = "Aborted"  # the drill was ended at once: its traffic lost too much
    COMPARISON_ERROR = "ComparisonError"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    NO_ANSWER = "NoAnswer"  # nobody said which version it is
    NOTHING_CHANGED = "NothingChanged"
    NOT_COMPARED = "NotCompared"  # Argo CD could not compare, so nothing was deployed
    ORPHANED = "Orphaned"
    OVERWRITTEN = "Overwritten"  # a rollback: somebody put the newer tag back
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    PUSH_FAILED = "PushFailed"
    PUSH_REFUSED = "PushRefused"
    SUPERSEDED = "Superseded"  # somebody else's tag is there, or on top of ours
    SYNC_FAILED = "SyncFailed"
    TAG_UNREAD = "TagUnread"  # at the last look: whether it is still ours is not known
    WRONG_VERSION = "WrongVersion"  # an answer of another version than the one that was deployed


class BadKind(StrEnum):
    """What a version that is known to be bad is bad for: the settings of `release.bad` in the target file."""

    IMAGE_MISSING = "image_missing"
    WRONG_PLATFORM = "wrong_platform"  # built for another processor than the nodes have
    NEVER_READY = "never_ready"
    CRASH_LOOP = "crash_loop"
    WRONG_VERSION = "wrong_version"  # says another version than the one that it was released as
    CONFIG_MISSING = "config_missing"  # wants a setting that nobody gave it


_NO_IMAGE = {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
_NO_START = {"CrashLoopBackOff", "RunContainerError", "CreateContainerError"}
# By which reasons of Kubernetes (a container's `waiting.reason`), or of ours, each kind is rightly named.
CAUSES_OF_BAD: Mapping[BadKind, frozenset[str]] = {
    BadKind.IMAGE_MISSING: frozenset(_NO_IMAGE),
    BadKind.WRONG_PLATFORM: frozenset(
        _NO_IMAGE | _NO_START
    ),  # an index without it is not pulled, one image does not run
    BadKind.NEVER_READY: frozenset({StageCause.PROGRESS_DEADLINE_EXCEEDED}),
    BadKind.CRASH_LOOP: frozenset(_NO_START),
    BadKind.WRONG_VERSION: frozenset({StageCause.WRONG_VERSION}),
    BadKind.CONFIG_MISSING: frozenset({"CreateContainerConfigError", *_NO_START}),
}


# Why a container waits that will not start by waiting longer: the one list, for whoever waits and whoever explains.
CANNOT_START = frozenset().union(*CAUSES_OF_BAD.values()) - frozenset(StageCause)


def code_of(reason: str) -> str:
    """A reason in Kubernetes' spelling as a code of ours: ImagePullBackOff is IMAGE_PULL_BACK_OFF."""
    return "".join("_" + letter if letter.isupper() else letter for letter in reason).strip("_").upper()


def cannot_start(reason: str) -> str:
    """The code of why a container waits, if that is why it cannot start; "" if it is on its way, or just waits."""
    settled = "ImagePullBackOff" if reason == "ErrImagePull" else reason  # the kubelet goes to and fro between the two
    return code_of(settled) if settled in CANNOT_START else ""


class EventReason(StrEnum):
    """Reasons of Kubernetes' events that say why a pod does not come up, the nearest to the root first."""

    FAILED_CREATE = "FailedCreate"  # of a ReplicaSet: a quota, an admission webhook
    FAILED_SCHEDULING = "FailedScheduling"
    FAILED_ATTACH = "FailedAttachVolume"
    FAILED_MOUNT = "FailedMount"
    FAILED_SANDBOX = "FailedCreatePodSandBox"
    EVICTED = "Evicted"
    FAILED = "Failed"  # an image that cannot be pulled, a container that cannot be made
    UNHEALTHY = "Unhealthy"  # a probe failed
    BACK_OFF = "BackOff"


OOM_KILLED = "OOMKilled"  # why a container ended: its memory limit
# What the exit code of a container says by convention (POSIX shells; 128 and a signal's number).
EXIT_WORDS: Mapping[int, str] = {
    0: "ended by itself, without an error", 126: "its command cannot be run", 127: "its command was not found",
    132: "SIGILL", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM",
}  # fmt: skip


class HealStage(StrEnum):
    """How far a repair came that did not come to its end."""

    NOT_DETECTED = "not-detected"
    NOT_SYNCED = "not-synced"
    NOT_RESTORED = "not-restored"


class HealCause(StrEnum):
    """Why nothing was healed (docs/argocd.md 1.6); each is checked, in this order."""

    AUTOMATED_OFF = "automated_off"
    SELF_HEAL_OFF = "self_heal_off"
    SKIP_RECONCILE = "skip_reconcile"
    DELETING = "deleting"
    SYNC_WINDOW = "sync_window"
    LAST_SYNC_FAILED = "last_sync_failed"
    COMPARISON_FAILED = "comparison_failed"
    OPERATION_RUNNING = "operation_running"
    NOT_TRACKED = "not_tracked"
    IGNORED_DIFFERENCE = "ignored_difference"
    CONTROLLER_AWAY = "controller_away"


class Unrest(StrEnum):
    """What is not at rest before a drift trial, so that what follows the drift would not be its own."""

    SYNC_STATUS = "sync-status"
    HEALTH = "health"
    OPERATION = "operation"
    REFRESH = "refresh"
    LAST_OPERATION = "last-operation"
    CONDITIONS = "conditions"
    OTHER_REVISION = "other-revision"
    NO_DEPLOYMENT = "no-deployment"
    ROLLING_OUT = "rolling-out"
    SYNC_WINDOW = "sync-window"


class Found(StrEnum):
    """What a drift trial's field (or object) was when it was read once more at the end."""

    OURS = "ours"
    ORIGINAL = "original"
    OTHER = "other"
    UNREAD = "unread"  # the API gave no answer


class RepairedBy(StrEnum):
    """Who started a process again that a fault had ended."""

    SUPERVISOR = "supervisor"  # in the same container
    KUBELET = "kubelet"  # by a new container, because a probe noticed
    NOBODY = "nobody"  # it stays away: a silent loss


class TakenIn(StrEnum):
    """How the pods came to a setting that was changed in git."""

    FILE = "mounted-file"  # those that run: the kubelet writes it into the volume
    ROLLOUT = "new-pods"  # something rolled the Deployment out
    PARTLY = "in-part"  # in some places, as in a file, and not in others, as in the environment
    NEVER = "no-running-pod"  # it is in the cluster, and those that run have the old one until they are replaced


class NotBack(StrEnum):
    """Why the app was not well again after a fault."""

    CONNECTIONS_HELD = "connections-held"  # it waits on connections to a server that is gone
    NOT_RESTARTED = "not-restarted"  # a process is gone, readiness has noticed, and nobody starts it again


class UndoneBy(StrEnum):
    """Who put back what a drift or a fault had changed."""

    SELF_HEAL = "self-heal"
    REFRESH = "refresh"  # Argo CD, but only after it was asked to look
    HARNESS = "harness"
    PLATFORM = "platform"  # what repairs things there anyway: a controller, the kubelet
    OTHER = "other"  # it was as before when we came to undo it, and nobody saw who did it


# Codes of findings by how near they are to the root (`judge.diagnose.ranking`); a code in none of them is a cause that
# a checker found. What a pod, a probe or Argo CD said of itself comes before the symptom that follows from it.
DEEPEST = frozenset({"HEALTH_FOLLOWS_DATABASE", "LIVENESS_FOLLOWS_DATABASE"})
# Promises about the way to production that were not kept. What does not run at all comes before them.
BREACHES = frozenset({
    "COMMITTED_BEFORE_SCAN", "LEG_TOO_SLOW", "MORE_THAN_THE_TAG", "NOT_BY_THE_PIPELINE", "NOT_SCANNED", "NOT_TESTED",
    "SCANNED_ANOTHER_IMAGE", "SCANNED_ANOTHER_PLATFORM", "SCAN_ABOVE_LIMIT",
})  # fmt: skip
SYMPTOMS = frozenset({
    "CONTROL_SUFFERED", "DEADLINE_EXCEEDED", "INJECTED", "LOST_AFTER_RECOVERY", "LOST_FOR_TOO_LONG", "NO_ANSWER",
    "NO_ANSWER_IN_TIME", "NO_READY_ENDPOINT", "NOT_RECOVERED", "ONE_ENDPOINT", "P99_TOO_LATE",
    "PROGRESS_DEADLINE_EXCEEDED", "REPLICAS_FOUGHT_OVER", "SLOW", "UNEXPLAINED", "UNREAD",
})  # fmt: skip
# These stand beside a failure and do not explain it.
ASIDES = frozenset({
    "APPLICATION_DEGRADED", "BACKOFF_SCHEDULE", "FAILED_LATER", "INGRESS_LOG_UNREAD", "MASKED", "NOISE",
    "ORDINARY_PRIORITY", "SUPERSEDED", "UNDO_FAILED",
})  # fmt: skip
