"""The legs from git to users: the env commit, Argo CD, the rollout, and what the app says of itself."""

from __future__ import annotations

from rollproof.core.counts import many
from rollproof.core.event import Outcome, good_in_a_row
from rollproof.core.pipeline import DeliverySeen, EnvCommitSeen, RolloutSeen
from rollproof.core.pipelinewords import Leg
from rollproof.core.runframe import Answer, answers
from rollproof.core.verdict import Result
from rollproof.judge.checkers.pipeline.base import Said, Way, broken, sound, unclear

__all__ = ["env_commit", "proven", "rolled_out", "seen", "synced"]

_FAILED = ("Failed", "Error")  # phases in which an operation of Argo CD has ended badly
_SHOWN = 3


def env_commit(way: Way) -> Said:
    """It sets the tag, changes nothing else, and is the pipeline's."""
    commit, wanted = way.road.view(EnvCommitSeen), way.road.target.pipeline.author
    end_s, name = commit.committed_s, commit.revision[:10]
    if not commit.parents:
        return unclear(f"{commit.tag} was set by {name}, the branch's first commit, which sets everything", end_s)
    if commit.others:
        also = "; ".join(commit.others[:_SHOWN]) + (" and more" if len(commit.others) > _SHOWN else "")
        why = f"{name}, which sets {commit.tag}, changes more than the tag's line: {also}"
        hint = "let the pipeline commit the tag alone: what else is in it is released and reverted with it"
        return broken("MORE_THAN_THE_TAG", why, hint, end_s)
    who = (commit.author, commit.author_email, commit.committer, commit.committer_email)
    by = f"{commit.author} <{commit.author_email}>"
    if wanted and wanted not in who:
        why = f"{name}, which sets {commit.tag}, is by {by} and not by {wanted} (pipeline.author)"
        hint = "was it deployed or rolled back by hand? The pipeline's legs are then those of another commit"
        return broken("NOT_BY_THE_PIPELINE", why, hint, end_s)
    said = "" if wanted else "; pipeline.author does not say whose it must be"
    return sound(f"{name} by {by} sets {commit.tag_before} to {commit.tag} and changes nothing else{said}", end_s)


def seen(way: Way) -> Said:
    """Argo CD compares with a revision that has the commit in its history."""
    commit, found = way.road.view(EnvCommitSeen), way.road.view(DeliverySeen)
    if found.carries:
        return sound(f"Argo CD is at {found.revision[:10]}, which carries it", found.started_s)
    if found.deployed:
        why = f"Argo CD has synced it, and is at {found.revision[:10] or 'no revision'} now, which does not carry it"
        return sound(why, found.started_s)
    waited_s = found.looked_s - commit.committed_s
    why = f"Argo CD is at {found.revision[:10] or 'no revision'}, without it, {waited_s:,.0f} s after the commit"
    limit_s = way.limit_s(Leg.SEEN)
    if found.behind and limit_s is not None and waited_s > limit_s + way.slack_s:
        hint = "does it get the webhook, and is the repo-server well? `argocd app get` says what it compares with"
        return broken("NOT_SEEN", f"{why}; the limit is {limit_s:g} s", hint)
    return unclear(why)


def synced(way: Way) -> Said:
    """A sync that carries the commit has succeeded."""
    found = way.road.view(DeliverySeen)
    if found.deployed:
        return sound(
            f"a sync that carries it has succeeded, and the Application is {found.sync_status}", found.deployed_s
        )
    if found.operation_carries and found.phase in _FAILED:
        hint = "the message is Argo CD's own; `argocd app get` has the object"
        return broken("SYNC_FAILED", f"its sync ended as {found.phase}: {found.message}", hint)
    return unclear(f"no sync that carries it is in the Application's history (last operation: {found.phase or 'none'})")


def rolled_out(way: Way) -> Said:
    """The Deployment and each of its pods have the tag that git has, and all are ready."""
    commit, found = way.road.view(EnvCommitSeen), way.road.view(RolloutSeen)
    wanted = f"{commit.image}:{commit.tag}"
    if found.image != wanted:
        why = f"the Deployment has {found.image or 'no image'}, and git says {wanted}"
        if way.said[Leg.SYNCED].result is not Result.PASS:
            return unclear(why)
        hint = "who set that image? `rollproof run drift` shows whether self-heal works"
        if found.image.rpartition(":")[0] != commit.image:
            hint = "the overlay's `images:` entry sets the tag of another image: its name must be the Deployment's"
        return broken("TAG_DOES_NOT_RUN", why, hint)
    if found.deadline_exceeded and found.observed >= found.generation:  # else it may be of the version before
        hint = "`rollproof run release` names the reason; the old pods still serve"
        return broken("ROLLOUT_STUCK", f"the rollout of {wanted} did not come to its end in time", hint)
    running = [pod for pod in found.pods if pod.ready and pod.image == wanted]
    counts = {found.wanted, found.updated, found.replicas, found.ready, len(running), len(found.pods)}
    if found.observed < found.generation or len(counts) != 1 or not running:
        why = f"{len(running)} of {many(found.wanted, 'pod')} are ready with {wanted}, and {len(found.pods)} are there"
        return unclear(f"the rollout is under way: {why}")
    return sound(f"each of {many(len(running), 'pod')} is ready with {wanted}", _rolled_out_s(way, found))


def _rolled_out_s(way: Way, found: RolloutSeen) -> float | None:
    """When the rollout was complete; None if that was another one since, such as a restart."""
    synced_s = way.ends.get(Leg.SYNCED)
    later = synced_s is None or found.made_s is None or found.made_s > synced_s + way.slack_s
    return None if later else found.completed_s


def proven(way: Way) -> Said:
    """Each pod, and so many answers in a row through the ingress, say that version."""
    commit, found = way.road.view(EnvCommitSeen), way.road.view(RolloutSeen)
    told = list(answers(way.road.facts, "version", since_s=0.0))
    way.road.used.extend(answer.event.seq for answer in told[-50:])
    wrong = [answer for answer in told if answer.event.outcome is Outcome.FAIL]
    if wrong:
        versions = ", ".join(sorted({answer.version for answer in wrong}))
        why = f"{many(len(wrong), 'answer')} of {len(told)} said {versions}, and git says {commit.tag}"
        if way.said[Leg.ROLLED_OUT].result is Result.INCONCLUSIVE:  # old pods may answer until it is over
            return unclear(f"{why}; the rollout had not been seen to its end")
        return broken(
            "WRONG_VERSION", why, "was the image built from that commit, and is no other app behind this name?"
        )
    entry = good_in_a_row([answer.event for answer in told if answer.event.subject == "Ingress"])
    wanted = way.road.target.release.proof_count
    if entry < wanted:
        return unclear(f"{commit.tag} came only {entry} of {wanted} times in a row through the ingress")
    proven_pods = {one.event.subject.rpartition("/")[2] for one in told if _is_good_of_pod(one)}
    if missing := sorted({pod.name for pod in found.pods} - proven_pods):
        return unclear(f"{commit.tag} came through the ingress, and not from {', '.join(missing[:_SHOWN])}")
    return sound(
        f"{commit.tag} came from each of {many(len(proven_pods), 'pod')}, and {entry} times through the ingress"
    )


def _is_good_of_pod(answer: Answer) -> bool:
    return answer.event.outcome is Outcome.OK and answer.event.subject.startswith("Pod/")
