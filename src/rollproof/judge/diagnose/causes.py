"""The rules: one burst of failures -> its likely cause; the most certain rule first, the first that fits decides.

Sources: the diagnosis table in docs/verdicts.md. A rule needs positive evidence on the timeline; none may rest on the
absence of a fact that was not watched for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rollproof.core.act import find_act
from rollproof.core.counts import many, were
from rollproof.core.facts import Facts
from rollproof.core.outcomes import CLOSED_UNANSWERED
from rollproof.core.podlives import PodLife, pod_lives
from rollproof.core.runframe import ingress_log
from rollproof.core.verdict import Finding
from rollproof.judge.checkers.others import finding, others
from rollproof.judge.checkers.window import open_window
from rollproof.judge.diagnose.moments import (
    AFTER_SERVICE_S,
    SLACK_S,
    Burst,
    Moment,
    bursts,
    fewest_endpoints,
    share_with_one_endpoint,
)
from rollproof.judge.diagnose.scattered import KEEPALIVE, SPARSE, scattered

__all__ = ["causes"]

_JUST_READY_S = 3.0
_LONG_REQUEST_S = 0.15
_UNREADY_SHARE_OF_ONE = 0.2  # of a pod's answers since it was Ready: below that it served, and lost single ones
_UNREADY_SHARE = 0.03  # the same of all requests on these lanes, where no answer names its pod and others serve too
_FOUND_MAX = 5
_HALF = 0.5  # of a burst: what comes before an endpoint goes, and after it is back, is another matter
_MOST = 0.8  # of a burst: the rest may have another cause
_CONNECTION = ("connect.", "send.", *CLOSED_UNANSWERED)  # the client's own connection was lost
_INJECTED = "INJECTED"
_PRESTOP = ("PRESTOP_MISSING", "PRESTOP_TOO_SHORT")  # the first is what is said of a template that did both
_LEAST_PRESTOP_S = 6.0  # for ingress-nginx: 3.3 s sync limit + 1 s balancer + margin


def causes(facts: Facts) -> tuple[Finding, ...]:
    """One finding for each kind of cause, for the burst in which it was seen first; what explains most comes first.

    Of what was injected one for each drift or fault: they are different causes.
    """
    log, act = facts.requests, find_act(facts)
    if log is None or act is None or not len(log.rows):
        return ()
    lives = pod_lives(facts)
    found: dict[str, Finding] = {}
    counted: Counter[str] = Counter()
    moments = [Moment(facts, burst, lives, act) for burst in bursts(open_window(facts, log, act))]
    if (single := scattered(moments)) is not None:
        return (single,)
    for moment, said in _with_one_prestop([(moment, _likeliest(moment)) for moment in moments]):
        part = moment.injected
        key = f"{said.code} {part.name if said.code == _INJECTED and part is not None else ''}"
        counted[key] += len(moment.burst.rows)
        if key not in found:
            found[key] = _with_what_was_done(said, moment)
    most = sorted(found, key=lambda key: -counted[key])[:_FOUND_MAX]
    return tuple(replace(found[key], numbers={**found[key].numbers, "failures": counted[key]}) for key in most)


def _likeliest(moment: Moment) -> Finding:
    """What the first rule that fits says of a burst."""
    found = next((said for rule in _RULES if (said := rule(moment)) is not None), None)
    return found or _unexplained(moment.burst)


def _with_one_prestop(told: list[tuple[Moment, Finding]]) -> Iterator[tuple[Moment, Finding]]:
    """The same, but of all pods of one template, which has one preStop, the same is said.

    Where one of them stopped as soon as it was told, that is what all of them do, also where their failures came later;
    and the sleep that is proposed is one that covers the latest of them.
    """
    of_template: dict[str, list[Finding]] = {}
    templates = [_template_that_stopped(moment, said) for moment, said in told]
    for template, (_, said) in zip(templates, told, strict=True):
        of_template.setdefault(template, []).append(said)
    for template, (moment, said) in zip(templates, told, strict=True):
        if not template:
            yield moment, said
            continue
        first = min(of_template[template], key=lambda one: _PRESTOP.index(one.code))
        longest = max(of_template[template], key=lambda one: float(one.numbers.get("prestop_s") or 0.0))
        yield moment, replace(first, hint=longest.hint, numbers=longest.numbers)


def _template_that_stopped(moment: Moment, finding: Finding) -> str:
    """The ReplicaSet of the pod to which a cause of preStop belongs; "" for any other cause."""
    life = _stopped(moment) if finding.code in _PRESTOP else None
    return life.template if life is not None else ""


def _with_what_was_done(finding: Finding, moment: Moment) -> Finding:
    """Add to a cause that a drift or fault was active at the time: the cause may be only its mechanism."""
    part = moment.injected
    if part is None or finding.code == _INJECTED:
        return finding
    return replace(finding, text=f"{finding.text}; {moment.when_injected(part)} before")


def _control_suffered(moment: Moment) -> Finding | None:
    if not moment.burst.beside_control:
        return None
    untouched = "" if moment.injected else ", which the rollout does not touch,"
    return Finding(
        "CONTROL_SUFFERED",
        f"the control lane{untouched} failed at the same time",
        "look at the way in (ingress, node, network) before the app",
    )


def _no_endpoint(moment: Moment) -> Finding | None:
    facts, burst = moment.facts, moment.burst
    fewest = fewest_endpoints(facts, burst.start_s - SLACK_S, burst.end_s + SLACK_S)
    if fewest == 0:
        return Finding(
            "NO_READY_ENDPOINT",
            "the Service had no ready endpoint while requests failed",
            "at least 2 replicas, maxUnavailable 0; check that the Service's selector matches the pods' labels",
        )
    alone = fewest == 1 and share_with_one_endpoint(facts, burst) >= _HALF
    if alone and burst.share("http.502", "http.503", "connect.") == 1.0:
        refused = burst.share("http.502", "connect.") == 1.0  # a proxy's 503 says that it had nobody to ask
        if refused and (ended := _termination(moment)) is not None:
            return ended  # the pod that was told to end had stopped serving, and was still asked
        enough = "at least 2 replicas and maxUnavailable 0, so that one pod may always be missing"
        return Finding(
            "ONE_ENDPOINT",
            "only one endpoint was ready while requests failed, so there was no other to retry on",
            "at least 3 replicas, so that two are left while one is missing" if moment.injected else enough,
        )
    return None


def _others_in_service(moment: Moment) -> Finding | None:
    """A pod of another owner received traffic; not if the bad answers name the app's own pods. One that was there
    before the act, and stayed, has answered well then: without its name in an answer it is not to blame now."""
    facts, burst = moment.facts, moment.burst
    found = others(facts, since_s=burst.start_s - SLACK_S, until_s=burst.end_s + SLACK_S)
    named, begun_s = burst.named(), moment.act.started.start_s
    moved = [one for one in found if one.since_s > begun_s or one.until_s <= burst.end_s + AFTER_SERVICE_S]
    return next(iter(finding(facts, [one for one in found if one.pod in named] if named else moved)), None)


def _readiness_lies(moment: Moment) -> Finding | None:
    """Pods that receive traffic too early, or lose readiness again. Best evidence: an answer that names its pod."""
    burst, lives = moment.burst, moment.lives
    hint = "let the readiness probe ask the path that needs the most; a startup probe for slow starts; minReadySeconds"
    for life in lives:
        own = moment.injected or life.ended_by  # a fault may well make a pod unready, and so does an end of it
        lost_s = None if own else life.lost_readiness_s
        if lost_s is not None and _within(burst, lost_s, before_s=_JUST_READY_S):
            text = f"{life.name} was Ready, took traffic, and lost its readiness again while requests failed"
            return Finding("READINESS_LIES", text, hint)
    young = {life.name: delays for life in lives if len(delays := _just_after_ready(burst, life))}
    if sum(map(len, young.values())) >= len(burst.rows) / 2:
        text = ", ".join(f"{delays.min():.2f} s after {name}" for name, delays in young.items())
        return Finding("READINESS_LIES", f"failures began {text} was called Ready", hint)
    for life in lives:
        if life.ready_s is None or not -SLACK_S <= burst.start_s - life.ready_s <= _JUST_READY_S:
            continue
        if burst.share_of_asked(life.ready_s) < _UNREADY_SHARE:
            continue  # it served: what was lost is an exception
        alone = not burst.served_by() and not _another_ended(moment, life.ready_s)
        if alone and burst.share("http.5", "body.", "read.") > 0:
            text = f"failures began {max(burst.start_s - life.ready_s, 0.0):.2f} s after {life.name} was called Ready"
            return Finding("READINESS_LIES", text, hint)
    return None


def _container_ended(moment: Moment) -> Finding | None:
    """A pod's container ended by itself, or the pod was evicted, while requests failed; not if they name others."""
    named = moment.burst.named()
    for life in moment.lives:
        if moment.injected or not life.ended_by or life.lost_readiness_s is None or (named and life.name not in named):
            continue
        if _within(moment.burst, life.lost_readiness_s, before_s=_JUST_READY_S):
            text = f"the container of {life.name} ended by itself ({life.ended_by}) while requests failed"
            hint = "see its log before that (`kubectl logs --previous`), and the events of the pod"
            return Finding("CONTAINER_ENDED", f"{text}, and nobody had told it to end", hint)
    return None


def _another_ended(moment: Moment, ready_s: float) -> bool:
    """Whether a pod that ended may be to blame as well as the one that got ready then.

    A rollout ends a pod after its replacement is ready. A fault ends it before: as long as it is there, it may be.
    """
    burst = moment.burst
    for life in moment.lives:
        if life.terminating_s is None or burst.end_s < life.terminating_s - SLACK_S:
            continue
        still_there = life.gone_s is None or life.gone_s > burst.start_s
        if life.terminating_s >= ready_s or (moment.injected and still_there):
            return True
    return False


def _just_after_ready(burst: Burst, life: PodLife) -> NDArray[np.float64]:
    """Delays after its readiness of the failures that name this pod, if they began then."""
    if life.ready_s is None or life.name not in burst.log.pods:
        return np.empty(0)
    rows = burst.rows[burst.rows["served_by"] == burst.log.pods.index(life.name)]
    delays = rows["send_ns"] / 1e9 - life.ready_s
    began = len(delays) and -SLACK_S <= delays.min() <= _JUST_READY_S
    began = began and burst.share_of_asked(life.ready_s, life.name) >= _UNREADY_SHARE_OF_ONE
    return np.maximum(delays, 0.0) if began else np.empty(0)


def _in_flight_cut(moment: Moment) -> Finding | None:
    """Long requests that fail at the time at which their pod is gone."""
    burst, lives = moment.burst, moment.lives
    took_s = (burst.rows["done_ns"] - burst.rows["send_ns"]) / 1e9
    long = took_s >= _LONG_REQUEST_S
    if not long.all() or burst.share("read.truncated", *CLOSED_UNANSWERED, "http.502") < 1.0:
        return None
    done_s = burst.rows["done_ns"] / 1e9
    for life in lives:
        if life.gone_s is None or life.terminating_s is None:
            continue
        grace_s = life.gone_s - life.terminating_s
        if np.all(np.abs(done_s - life.gone_s) <= 1.0 + SLACK_S):
            return Finding(
                "IN_FLIGHT_CUT",
                f"{len(done_s)} long requests (up to {took_s.max():.2f} s) were cut when {life.name} ended, "
                f"{grace_s:.1f} s after it began to terminate",
                "terminationGracePeriodSeconds above preStop plus the longest request; finish requests on SIGTERM",
                {"longest_request_s": round(float(took_s.max()), 3)},
            )
    return None


def _termination(moment: Moment) -> Finding | None:
    """Requests were still sent to a pod that had stopped serving; not if the bad answers name others."""
    burst, life = moment.burst, _stopped(moment)
    if life is None:
        return None
    begin_s = life.terminating_s or 0.0
    from_s, until_s = burst.felt_s - begin_s, max(burst.end_s, burst.felt_s) - begin_s
    left = f"; it left the Service after {life.out_of_service_s - begin_s:.2f} s" if life.out_of_service_s else ""
    propose_s = max(_LEAST_PRESTOP_S, np.ceil(until_s + 2.0))
    hint = (
        f"preStop sleep of at least {propose_s:g} s (and a grace period above it plus the longest request), "
        "and finish requests on SIGTERM"
    )
    if from_s < 1.0:
        text = (
            f"{life.name} stopped serving as soon as it was told to terminate: failures from "
            f"{max(from_s, 0):.2f} to {max(until_s, 0):.2f} s after that{left}"
        )
        return Finding("PRESTOP_MISSING", text, hint, {"prestop_s": float(propose_s)})
    text = (
        f"{life.name} stopped serving while it was still used: failures from {from_s:.2f} to {until_s:.2f} s "
        f"after it began to terminate{left}"
    )
    return Finding("PRESTOP_TOO_SHORT", text, hint, {"prestop_s": float(propose_s)})


def _stopped(moment: Moment) -> PodLife | None:
    """The pod that had stopped serving when these failures began; of several the one that ended nearest to them."""
    fitting = [life for life in moment.lives if _may_have_stopped(moment, life)]
    felt_s = moment.burst.felt_s
    return min(fitting, key=lambda one: abs(felt_s - (one.gone_s or one.terminating_s or 0.0)), default=None)


def _may_have_stopped(moment: Moment, life: PodLife) -> bool:
    """Whether the failures began while this pod was ending, or while the ingress may still have used its address.

    Of several the one that ended nearest to the first failure is the one: in a race of rollouts each has its own.
    """
    burst, begin_s = moment.burst, life.terminating_s
    named = burst.named()
    if begin_s is None or (named and life.name not in named) or (moment.injected and not life.graceful):
        return False
    out_s = max(life.out_of_service_s or begin_s, begin_s) + AFTER_SERVICE_S
    return begin_s - SLACK_S - burst.took_s() <= burst.start_s <= out_s


def _nearest_injection(moment: Moment) -> Finding | None:
    """No event of a pod explains them, but a drift or fault was active: it is the likely cause."""
    burst, part = moment.burst, moment.injected
    if part is None:
        return None
    return Finding(
        _INJECTED,
        f"{moment.when_injected(part)} before {len(burst.rows)} failures ({', '.join(sorted(burst.outcomes()))}) on "
        f"{', '.join(sorted(burst.lanes()))}, and nothing nearer explains them",
        "let the app survive it (replicas, time-outs, retries), or allow for what it costs: traffic.downtime_budget_ms",
    )


def _ingress_reload(moment: Moment) -> Finding | None:
    burst = moment.burst
    took_s = float(np.ptp(burst.rows["done_ns"])) / 1e9  # when they were cut, not when they were sent
    short = took_s <= 0.2
    if not (short and len(burst.rows) > 1 and burst.rows["reused"].all() and burst.share("read.", "send.") == 1.0):
        return None
    return Finding(
        "INGRESS_RELOAD",
        f"{len(burst.rows)} reused connections were closed within {took_s * 1000:.0f} ms, "
        "new connections were not affected",
        "see the ingress controller's log for a reload at that moment; do not change the Ingress in the same sync",
    )


def _keepalive_race(moment: Moment) -> Finding | None:
    burst = moment.burst
    if len(burst.rows) > SPARSE or burst.share(*KEEPALIVE) < 1.0:
        return None
    if not burst.rows["reused"].all() or burst.named():
        return None  # an answer that names its pod is the pod's own
    idle_ms = float(burst.rows["idle_ms"].max())
    return Finding(
        "KEEPALIVE_RACE",
        f"{many(len(burst.rows), 'request')} on reused connections (idle up to {idle_ms:.0f} ms) failed by "
        f"themselves{moment.aside}",
        "a server's keep-alive time-out must exceed that of the connection's next user: app > ingress > client",
    )


def _listener_closed(moment: Moment) -> Finding | None:
    burst = moment.burst
    if burst.share("connect.") < 1.0:
        return None
    return Finding(
        "LISTENER_CLOSED",
        f"{many(len(burst.rows), 'new connection')} within {burst.end_s - burst.start_s:.2f} s {were(len(burst.rows))} "
        "refused or timed out while existing ones were served",
        "the ingress pod or the path to it was replaced: check its rollout, hostPort and kube-proxy",
    )


def _unexplained(burst: Burst) -> Finding:
    return Finding(
        "UNEXPLAINED",
        f"{len(burst.rows)} failures ({', '.join(sorted(burst.outcomes()))}) on {', '.join(sorted(burst.lanes()))}: "
        "nothing on the timeline explains them",
        "look for the request ids of the failed requests in the ingress and app logs",
    )


def _way_in(moment: Moment) -> Finding | None:
    """If a proxy answers for the pods (its log has our requests), a lost client connection is not a pod's."""
    facts, burst = moment.facts, moment.burst
    log = ingress_log(facts)
    if log is None or not log.matched or burst.share(*_CONNECTION) < 1.0:
        return None
    rules = (_listener_closed, _ingress_reload, _keepalive_race)
    return next((said for rule in rules if (said := rule(moment)) is not None), None)


def _bad_answers(moment: Moment) -> Finding | None:
    """Pods that were ready and stayed so gave complete, wrong answers, and each names itself in its answer."""
    burst = moment.burst
    rows, pods = burst.rows, burst.named()
    if not pods or burst.share("http.5", "body.", "read.truncated") < _MOST:
        return None
    versions = sorted({burst.log.versions[int(one)] for one in np.unique(rows["version"])} - {""})
    return Finding(
        "BAD_ANSWERS",
        f"{many(len(rows), 'answer')} ({', '.join(sorted(burst.outcomes()))}) came from {', '.join(sorted(pods))} "
        f"(version {', '.join(versions) or 'unknown'}){moment.aside}",
        "see the app's own log of these pods at that moment; readiness did not notice",
    )


def _no_answer_in_time(moment: Moment) -> Finding | None:
    burst = moment.burst
    if burst.share("read.timeout") < _MOST:
        return None
    return Finding(
        "NO_ANSWER_IN_TIME",
        f"{len(burst.rows)} requests were taken and not answered within {burst.took_s():.1f} s{moment.aside}",
        "a stalled app: look for used-up workers, locks, CPU throttling, a slow database at that moment",
    )


def _within(burst: Burst, at_s: float, *, before_s: float) -> bool:
    return at_s - before_s <= burst.start_s <= at_s + SLACK_S


_RULES: tuple[Callable[[Moment], Finding | None], ...] = (
    _control_suffered,
    _no_endpoint,
    _way_in,
    _others_in_service,
    _container_ended,
    _readiness_lies,
    _in_flight_cut,
    _termination,
    _nearest_injection,
    _ingress_reload,
    _keepalive_race,
    _listener_closed,
    _bad_answers,
    _no_answer_in_time,
)
