"""Doctor: could a drill run here? One line a question, each ok or with what to do about it. Changes nothing.

It goes on after a bad answer, so that a person sees everything that is missing at once; a question whose ground is
gone (no API, no Application) is said to be unasked, never taken for good. What a run asks before it touches anything
is asked from the same list (`preflight`), drill by drill at its end, so that the two cannot disagree.
"""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby

from rollproof.clients.argo import ApplicationState, ControllerSettings, application_state, automation
from rollproof.clients.kube import Object
from rollproof.core.accesslog import shape_of
from rollproof.core.backoff import BackOff, model
from rollproof.core.permission import Permission
from rollproof.core.target import Target, Traffic
from rollproof.core.versions import said_of, unknown
from rollproof.errors import InputError, RollproofError
from rollproof.preflight.checks import (
    QUESTIONS_OF_A_DRILL,
    QUESTIONS_OF_A_TARGET,
    Clients,
    Look,
    Question,
    see_permissions,
)
from rollproof.preflight.planning import Order, check_order, wanted_target
from rollproof.probes.ingresslog import read_log
from rollproof.probes.scheduling import quick
from rollproof.suites import expand
from rollproof.target.file import LoadedTarget

__all__ = ["Line", "examine", "measure_lateness", "summary"]

_LATE_MS = 5.0  # the same as traffic.late_share_max is about
_TICK_S = 0.002
_TICKS = 500
_PLAIN_PER_CORE, _TLS_PER_CORE = 8000.0, 2000.0  # open-loop requests a second of one core (cautious: bench/RESULTS.md)
_LOG_S = 60.0
_RUN = "run "  # how the line of a drill begins


@dataclass(frozen=True, slots=True)
class Line:
    """One answer. `ok` None: not wrong, but less can be seen or claimed, or it could not be asked."""

    name: str
    ok: bool | None
    said: str
    hint: str = ""


@dataclass(slots=True)
class _Patient:
    """What is examined, and what has been found out so far."""

    seen: Look
    drills: tuple[str, ...]
    of_drills: list[Look] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)  # names of questions with a good answer

    @property
    def target(self) -> Target:
        return self.seen.target

    @property
    def clients(self) -> Clients:
        return self.seen.clients

    @property
    def application(self) -> Object:
        return self.seen.application or {}


def examine(loaded: LoadedTarget, drills: Sequence[str] = ()) -> tuple[Line, ...]:
    """Ask everything that these drills need (none: those of `all`). Never raises for what is wrong with the target."""
    order = Order(drills=tuple(drills) or expand("all"))
    try:
        clients = Clients.of(loaded)
    except RollproofError as error:
        return (Line("settings", False, str(error), error.hint),)
    with clients:
        patient = _Patient(Look(order=order, target=wanted_target(order, loaded.target), clients=clients), order.drills)
        return tuple(line for question in _questions(order.drills) for line in _ask(patient, question))


def summary(lines: Sequence[Line]) -> str:
    """The last line: what needs attention, or what can run."""
    broken = [line for line in lines if line.ok is False]
    if broken:
        return f"{len(broken)} of {len(lines)} need attention"
    refused = [line.name for line in lines if line.name.startswith(_RUN) and line.ok is None]
    return f"a drill can run, but not as it stands: {', '.join(refused)}" if refused else "a drill can run"


@dataclass(frozen=True, slots=True)
class _Topic:
    """One question or more. `needs` are those without whose good answer this one cannot be asked."""

    name: str
    answer: Callable[[_Patient], Iterator[Line]]
    needs: tuple[str, ...] = ()


def _questions(drills: Sequence[str]) -> Iterator[_Topic]:
    """All, in the order of their lines."""
    own = {
        "fences": _fences,
        "permissions to look": None,
    }  # the latter are among all permissions, which have a line each
    for question in QUESTIONS_OF_A_TARGET:
        answer = own.get(question.name, _as_asked_by_a_run(question))
        if answer is not None:
            yield _Topic(question.name, answer, question.needs)
    needs = tuple(dict.fromkeys(name for question in QUESTIONS_OF_A_DRILL for name in question.needs))
    for drill in drills:
        yield _Topic(f"{_RUN}{drill}", _of_drill(drill), needs)
    yield from _OWN


def _as_asked_by_a_run(question: Question) -> Callable[[_Patient], Iterator[Line]]:
    def answer(patient: _Patient) -> Iterator[Line]:
        yield Line(question.name, True, question.ask(patient.seen))

    return answer


def _ask(patient: _Patient, topic: _Topic) -> Iterator[Line]:
    missing = [name for name in topic.needs if name not in patient.reached]
    if missing:
        yield Line(topic.name, None, f"not asked, because of: {', '.join(missing)}")
        return
    try:
        yield from topic.answer(patient)
    except RollproofError as error:
        yield Line(topic.name, False, str(error), error.hint)
    else:
        patient.reached.add(topic.name)


def _of_drill(drill: str) -> Callable[[_Patient], Iterator[Line]]:
    """Would `rollproof run <drill>` begin? What only the command line can say (a sha, a meant fence) is no defect."""

    def answer(patient: _Patient) -> Iterator[Line]:
        seen = replace(patient.seen, order=Order(drills=(drill,)))
        patient.of_drills.append(seen)
        try:
            check_order(seen.order, seen.target, datetime.now(UTC))
        except InputError as refusal:
            yield Line(f"{_RUN}{drill}", None, str(refusal), refusal.hint)
            return
        said = [question.ask(seen) for question in QUESTIONS_OF_A_DRILL]
        yield Line(f"{_RUN}{drill}", True, said[0])

    return answer


# -- cluster ----------------------------------------------------------------------------------------------------------


def _fences(patient: _Patient) -> Iterator[Line]:
    (question,) = (one for one in QUESTIONS_OF_A_TARGET if one.name == "fences")
    inside = question.ask(patient.seen)
    if patient.target.fences.production:
        yield Line("fences", None, f"{inside}; marked as production", "see what each drill's line says of that")
    else:
        yield Line("fences", True, inside)


def _permissions(patient: _Patient) -> Iterator[Line]:
    """One line a resource: what is granted, and what is missed without the rest."""
    looks = patient.of_drills or [patient.seen]
    needed = dict.fromkeys(permission for seen in looks for permission in see_permissions(seen))
    permissions = sorted(needed, key=lambda permission: (permission.argocd, permission.place))
    for (_, place), group in groupby(permissions, key=lambda permission: (permission.argocd, permission.place)):
        wanted = tuple(group)
        refused = [permission for permission in wanted if not patient.seen.is_granted(permission)]
        yield _permission_line(place, wanted, refused)


def _permission_line(place: str, wanted: Sequence[Permission], refused: Sequence[Permission]) -> Line:
    name = f"permission on {place}"
    if not refused:
        return Line(name, True, ", ".join(dict.fromkeys(permission.verb for permission in wanted)))
    verbs = ", ".join(dict.fromkeys(permission.verb for permission in refused))
    why = "; ".join(dict.fromkeys(permission.why for permission in refused))
    if any(permission.required for permission in refused):
        return Line(name, False, f"not granted: {verbs} (needed: {why})", "have a Role with it bound to this user")
    return Line(name, None, f"not granted: {verbs}: {why}")


# -- Argo CD ----------------------------------------------------------------------------------------------------------


def _versions(patient: _Patient) -> Iterator[Line]:
    kubernetes, argocd = patient.clients.kube.version(), patient.clients.argo.settings().version
    said = f"Kubernetes {kubernetes}, Argo CD {argocd or 'of unknown version'}"
    strange = unknown(kubernetes, argocd)
    if strange:
        hint = "docs/matrix.md lists what was run; there, each figure and field was seen"
        yield Line("versions", None, f"{said}: unknown, never run on the lab: {', '.join(strange)}", hint)
    else:
        yield Line("versions", True, f"{said}: {said_of(kubernetes, argocd)}")


def _self_heal(patient: _Patient) -> Iterator[Line]:
    if not patient.seen.order.drifts:
        return
    application = patient.application
    settings = patient.clients.argo.settings()
    backoff = model(
        settings.version, fixed_delay_s=settings.fixed_delay_s, start_s=settings.backoff_start_s,
        factor=settings.backoff_factor, cap_s=settings.backoff_cap_s, cooldown_s=settings.backoff_cooldown_s,
    )  # fmt: skip
    yield _switched_on(patient.target, application)
    yield _schedule(patient.target, settings, backoff)
    yield _attempts(application_state(application), backoff, now_s=patient.clients.argo.kube.wall_s())
    yield _windows(patient)


def _switched_on(target: Target, application: Object) -> Line:
    policy = automation(application)
    if policy.self_heal:
        return Line("self-heal", True, "automated sync with selfHeal")
    said = "selfHeal is off" if policy.on else "automated sync is off"
    if not target.drift.must_heal:
        return Line("self-heal", None, f"{said}; drift.must_heal is false, so drifts are undone by the harness")
    hint = "spec.syncPolicy.automated.selfHeal: true, or drift.must_heal = false"
    return Line("self-heal", False, f"{said}: every drift will be FAIL", hint)


def _schedule(target: Target, settings: ControllerSettings, backoff: BackOff) -> Line:
    gaps = ", ".join(f"{backoff.gap_s(attempts):g}" for attempts in range(7))
    keeps = backoff.keeps_up_to(target.drift.limit_s)
    limit = f"{target.drift.limit_s:g} s"
    able = {math.inf: f"{limit} can always be kept", -1: f"{limit} can never be kept"}.get(
        keeps, f"{limit} can be kept at once after 0 to {keeps:g} heals on a revision"
    )
    said = f"Argo CD {settings.version or 'of unknown version'}: gaps {gaps} s; {able}"
    if not backoff.known:
        return Line("back-off", None, f"{said} (assumed)", "grant list statefulsets, or read its image tag")
    if not settings.readable:
        return Line("back-off", None, f"{said} (defaults assumed)", "grant get configmaps argocd-cmd-params-cm")
    return Line("back-off", True, said)


def _attempts(state: ApplicationState, backoff: BackOff, *, now_s: float) -> Line:
    finished_at_s = datetime.fromisoformat(state.finished_at).astimezone(UTC).timestamp() if state.finished_at else None
    remaining_s = backoff.remaining_s(finished_at_s=finished_at_s, attempts=state.attempts, now_s=now_s)
    said = f"{state.attempts} heals on this revision so far; the next drift waits {remaining_s:.0f} s"
    if state.operation_revision != state.sync_revision:
        said = f"{said}; the last operation was for another revision: the next repair is an ordinary auto-sync"
        return Line("heal count", None, said, 'drift.reset = "sync" starts a sync of this revision first')
    return Line("heal count", True, said)


_WINDOWS_HINT = "grant get appprojects in Argo CD's namespace: a window that denies would look like broken self-heal"


def _windows(patient: _Patient) -> Line:
    windows = patient.clients.argo.sync_windows(patient.target.argocd.project)
    if windows is None:
        return Line("sync windows", None, "unknown: the AppProject cannot be read or is not there", _WINDOWS_HINT)
    if windows:
        kinds = ", ".join(f"{window.get('kind')} {window.get('schedule')}" for window in windows)
        return Line("sync windows", None, f"the project has {len(windows)}: {kinds}", "they may forbid self-heal")
    return Line("sync windows", True, "none")


# -- ingress ----------------------------------------------------------------------------------------------------------


_LOG_HINT = (
    "is its access log on, and is it that of ingress.selector and ingress.container? JSON lines with the id of "
    "X-Request-ID, the status and every upstream are read"
)


def _ingress_log(patient: _Patient) -> Iterator[Line]:
    ingress = patient.target.ingress
    if not ingress.namespace:
        said = "not named in the target file: retries that the client never sees stay unseen"
        yield Line("ingress log", None, said, "see [ingress] in targets/staging.example.toml")
        return
    lines = read_log(patient.clients.kube, ingress, since_s=_LOG_S)
    yield _log_line(lines)


def _log_line(lines: Sequence[str]) -> Line:
    """What such lines will say of our requests: nobody has sent one yet."""
    count = f"{len(lines)} lines in the last minute"
    shape = shape_of(lines)
    if shape is None:
        said = f"{count}, of no access log that is known" if lines else "no line in the last minute"
        return Line("ingress log", None, f"{said}: retries that the client never sees stay unseen", _LOG_HINT)
    if shape.tells:
        return Line("ingress log", True, f"readable, {count}: {shape.said}")
    hint = shape.form.set_it if shape.ever else "nothing to set: verdicts say INGRESS_LOG_UNREAD beside what they judge"
    return Line("ingress log", None, f"retries that the client never sees stay unseen: {shape.said}", hint)


# -- this machine -----------------------------------------------------------------------------------------------------


def _generator(patient: _Patient) -> Iterator[Line]:
    if importlib.util.find_spec("locust") is None:
        yield Line("load engine", False, "locust is not installed", "pip install 'rollproof[load]'")
    else:
        yield Line("load engine", True, "locust is installed")
    yield _speed(patient.target, cores=len(os.sched_getaffinity(0)))
    yield _quiet(measure_lateness(), patient.target.traffic)


def _speed(target: Target, *, cores: int) -> Line:
    per_core = _TLS_PER_CORE if target.app.base_url.startswith("https") else _PLAIN_PER_CORE
    rate = target.traffic.rate_per_s
    said = f"{rate:g} requests/s of about {per_core:g} that one core can send; {cores} cores here"
    if rate > per_core / 2:
        return Line("rate", False, said, "lower traffic.rate_per_s, or use a stronger machine")
    if cores < 2:
        return Line("rate", None, said, "with one core the generator is disturbed by everything else")
    return Line("rate", True, said)


def measure_lateness(ticks: int = _TICKS, tick_s: float = _TICK_S) -> list[float]:
    """How late this process wakes up, in ms: `ticks` sleeps to absolute times, scheduled as the generator would be."""
    late_ms: list[float] = []
    with quick():
        begun_s = time.monotonic()
        for number in range(1, ticks + 1):
            due_s = begun_s + number * tick_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            late_ms.append((time.monotonic() - due_s) * 1e3)
    return late_ms


def _quiet(late_ms: Sequence[float], traffic: Traffic) -> Line:
    ordered = sorted(late_ms)
    share = sum(1 for late in ordered if late > _LATE_MS) / len(ordered)
    p99 = ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.99) - 1)]
    said = f"timer late by {p99:.1f} ms (p99), {ordered[-1]:.1f} ms (max); {share:.1%} of ticks above {_LATE_MS:g} ms"
    if share > traffic.late_share_max:
        return Line("quiet enough", False, said, "this machine is busy: a drill would end INCONCLUSIVE")
    return Line("quiet enough", True, said)


_OWN = (
    _Topic("permissions", _permissions, ("Kubernetes API", "API of Argo CD")),
    _Topic("versions", _versions, ("Kubernetes API", "API of Argo CD")),
    _Topic("self-heal", _self_heal, ("Application",)),
    _Topic("ingress log", _ingress_log, ("Kubernetes API",)),
    _Topic("generator", _generator),
)
