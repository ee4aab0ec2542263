"""Histories for the golden of verdicts: the drift checker's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from story import Story, plan, target

from rollproof.core.backoff import model
from rollproof.core.event import Outcome
from rollproof.core.target import DriftSettings

__all__ = ["drifts"]

REVISION, OTHER = "c" * 40, "d" * 40
T0 = 200.0
UNDECLARED = "undeclared-annotation"
Told = Iterator[tuple[str, Story]]


def tale(*trials: str, version: str | None = "v3.2.6", must_heal: bool = True, limit_s: float = 5.0) -> Story:
    settings = DriftSettings(trials=trials or ("image",), must_heal=must_heal, limit_s=limit_s)
    told = Story("drift", plan=plan(target=target(drift=settings)))
    if version is None:
        return told
    return told.tell("drift", "Drift", "model", at=190, version=version, **asdict(model(version)))


def ready(told: Story, trial: str = "image", *, kind: str = "heal", at: float = T0, **changes: Any) -> Story:
    before = {
        "attempts": 1, "gap_s": 2.0, "remaining_s": 0.0, "quiet_s": 5.0, "sync_revision": REVISION,
        "operation_revision": REVISION, "fair": True, "started_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    told.tell("drift", f"Drift/{trial}", "planned", at=199, kind=kind)
    return told.tell("drift", f"Drift/{trial}", "before", at=at, **{**before, **changes})


def hurt(told: Story, trial: str = "image", *, at: float = T0, **data: Any) -> Story:
    return told.tell("drift", f"Drift/{trial}", "injected", at=at, field="image", **data)


def healed(
    told: Story, *, after_s: float = 0.5, detected_s: float | None = None, read: bool = True, **said: Any
) -> Story:
    """Restored by a self-heal, unless `said` has another word for it."""
    if detected_s is not None:
        told.tell("drift", "Drift/image", "detected", at=T0 + detected_s, start=T0)
    restored: dict[str, Any] = {"manager": "argocd-controller", "complete": True, "value": "a"}
    restored |= {name: said.pop(name) for name in tuple(said) if name in restored}
    told.tell("drift", "Drift/image", "restored", at=T0 + after_s, start=T0, **restored)
    state = {"attempts": 2, "operation_revision": REVISION, "automated": True, "started_at": "2026-01-01T00:01:00Z"}
    if read:
        told.tell("drift", "Drift/image", "after", at=T0 + after_s + 0.2, **{**state, **said})
    return told


def shared(**changes: Any) -> Story:
    """An image drift that is on its way: `changes` to what was read before."""
    return hurt(ready(tale(), **changes))


def unhealed(told: Story, *, waited_s: float | None = 60.0, **data: Any) -> Story:
    words = {"stage": "not-synced", "checked": {}, **data}
    if waited_s is not None:
        words["waited_s"] = waited_s
    return told.tell("drift", "Drift/image", "not-healed", at=T0 + 60, outcome=Outcome.FAIL, **words)


def gap(told: Story, start: float, end: float, *, kind: str = "Deployment", lost: bool = True, **data: Any) -> Story:
    return told.tell("watch", f"Watch/{kind}", "gap", at=end, start=start, lost=lost, **data)


def drifts() -> Told:
    for part in (_not_tried, _controls, _healed, _otherwise, _late, _not_healed, _schedules):
        yield from part()


def _not_tried() -> Told:
    yield "no trial at all", Story("drift", plan=plan(target=target(drift=DriftSettings(trials=()))))
    yield "never tried", tale()
    skipped = tale().tell("drift", "Drift/image", "planned", at=1, kind="heal")
    yield "skipped", skipped.tell("drift", "Drift/image", "skipped", at=1, reason="belongs to an HPA")
    yield "skipped without a reason", tale().tell("drift", "Drift/image", "skipped", at=1)
    yield "the harness failed", ready(tale()).tell("drift", "Drift/image", "error", at=T0, reason="403 on PATCH")
    yield "the harness failed without a reason", tale().tell("drift", "Drift/image", "error", at=T0)
    window: dict[str, Any] = {"window_denied": True, "fair": False}
    yield "a closed window", ready(tale(), **window)
    yield "a closed window, by choice", ready(tale(must_heal=False), **window)
    yield "a closed window, and yet a drift", healed(hurt(ready(tale(), window_denied=True)))
    yield "not fair", healed(hurt(ready(tale(), fair=False, why_unfair="OutOfSync already")))
    yield "not fair, and no reason", ready(tale(), fair=False)
    yield "void", ready(tale()).tell("drift", "Drift/image", "void", at=T0)
    yield "ended before the deed", ready(tale())
    yield "a deed without its preconditions", hurt(tale())
    yield "ended after the deed", shared()
    yield "ended blind", gap(shared(), T0, T0 + 1, reason="API away")
    yield "ended blind, without a reason", gap(shared(), T0 - 2, T0)
    other = healed(shared()).tell("drift", "Drift/image", "interfered", at=T0 + 2, manager="alice", value="x")
    yield "somebody else came in between", other
    after: dict[str, Any] = {"after_restored": True, "value": None}
    yield "somebody else came afterwards", healed(shared()).tell("drift", "Drift/image", "interfered", at=T0, **after)
    for step_s in (1.0, 1.5):
        clock = tale().tell("run", "clock", "read", at=190, monotonic_s=190, wall_s=1000)
        clock.tell("run", "clock", "read", at=195, monotonic_s=195, wall_s=1005 - step_s)
        yield f"the clock was set back by {step_s} s", healed(hurt(ready(clock)))
    yield "another revision before", healed(shared(operation_revision=OTHER))


def _controls() -> Told:
    void = ready(tale("void-patch"), "void-patch", kind="control")
    yield "void patch refused", void.tell("drift", "Drift/void-patch", "void", at=T0)
    yield "void patch taken for a drift", hurt(ready(tale("void-patch"), "void-patch", kind="control"), "void-patch")

    def undeclared(**changes: Any) -> Story:
        return ready(tale(UNDECLARED), UNDECLARED, kind="control", **changes)

    def then(told: Story, what: str, after_s: float = 10.0, **data: Any) -> Story:
        return told.tell("drift", f"Drift/{UNDECLARED}", what, at=T0 + after_s, **data)

    yield "undeclared, void", then(undeclared(), "void")
    yield "undeclared, taken off", then(hurt(undeclared(), UNDECLARED), "restored", 2.0, manager="kyverno")
    yield "undeclared, taken off by nobody", then(hurt(undeclared(), UNDECLARED), "restored", 2.0)
    yield "undeclared, ended", hurt(undeclared(), UNDECLARED)
    yield "undeclared, blind", gap(then(hurt(undeclared(), UNDECLARED), "stayed", watched_s=10.0), T0 + 10, T0 + 11)
    seen = then(hurt(undeclared(), UNDECLARED), "stayed", watched_s=10.0)
    yield "undeclared, blind afterwards", gap(gap(seen, T0 + 10.5, T0 + 11), T0 - 2, T0 - 0.5)
    yield "undeclared, a routine gap", gap(then(hurt(undeclared(), UNDECLARED), "stayed", watched_s=10.0), T0, T0 + 1,
                                           lost=False)  # fmt: skip
    yield "undeclared, too short", then(hurt(undeclared(), UNDECLARED), "stayed", watched_s=9.98)
    yield "undeclared, not said how long", then(hurt(undeclared(), UNDECLARED), "stayed")
    for name, data in {
        "our change not seen": {"seen": False}, "unread at the end": {"found": "unread"},
        "as before at the end": {"found": "original"}, "something else at the end": {"found": "other"},
    }.items():  # fmt: skip
        yield f"undeclared, {name}", then(hurt(undeclared(), UNDECLARED), "stayed", watched_s=10.0, **data)
    yield "undeclared, stays", then(hurt(undeclared(), UNDECLARED), "stayed", watched_s=9.9904)


def _healed() -> Told:
    yield "healed", healed(shared(), detected_s=0.12345)
    synced = healed(shared(), detected_s=0.1).tell("drift", "Drift/image", "synced", at=T0 + 0.6, start=T0)
    yield "healed, and healthy", synced.tell("drift", "Drift/image", "healthy", at=T0 + 0.75, start=T0)
    yield "healed blind", gap(healed(shared()), T0 + 0.1, T0 + 0.4, reason="API away")
    yield "healed in part", healed(shared(), complete=False, value="half")
    yield "healed, completeness not said", healed(shared(), complete=None)
    yield "healed at the limit", healed(shared(), after_s=5.0)
    waiting: dict[str, Any] = {"attempts": 3, "remaining_s": 16.0, "gap_s": 18.0}
    yield "healed after the back-off", healed(shared(**waiting), after_s=16.6, attempts=4)
    yield "healed before its back-off was over", healed(shared(**waiting), after_s=3.0, attempts=4)
    yield "healed when the back-off was over", healed(shared(**waiting), after_s=20.0, attempts=4)
    yield "healed within the grain", healed(shared(**waiting), after_s=20.5, attempts=4)
    yield "healed at the end of the grain", healed(shared(**waiting), after_s=21.0, attempts=4)
    yield (
        "healed, and the drift came later than it was read",
        healed(hurt(ready(tale(), at=T0 - 6, **waiting)), after_s=10.5, attempts=4),
    )
    yield (
        "healed, and nothing was read of the count",
        healed(shared(attempts=None, remaining_s=None, gap_s=None, quiet_s=None), attempts=1),
    )
    yield "healed after a long quiet", healed(shared(attempts=4, quiet_s=400.0), attempts=1)
    yield "healed by the harness' own patch", healed(shared(), manager="rollproof")
    yield "healed, the manager is not known", healed(shared(), manager="")
    yield "healed, nobody said when it started", healed(shared(started_at=""), started_at="")


def _otherwise() -> Told:
    yield "restored, and nothing was read", healed(shared(), read=False)
    yield "restored by somebody's sync", healed(shared(), automated=False, initiated_by="alice")
    yield "restored by a manager", healed(shared(), automated=False, manager="kubectl-edit")
    yield "restored by nobody known", healed(shared(), automated=False, manager="")
    yield "restored by another manager", healed(shared(), manager="kubectl-edit")
    yield "restored where nothing is counted", healed(hurt(ready(tale(version="v2.10.0"))))
    yield "restored at another revision", healed(shared(), operation_revision=OTHER)
    yield "restored by no operation", healed(shared(), attempts=1, started_at="2026-01-01T00:00:00Z")
    yield "restored by no operation and nobody", healed(shared(), started_at="2026-01-01T00:00:00Z", manager="")
    yield "restored by an ordinary sync", healed(shared(), attempts=0)
    yield "restored with others", healed(shared(), attempts=5)
    yield "restored, the count was not read", healed(shared(), attempts=None)
    yield "restored while the quiet ended", healed(shared(quiet_s=325.0, attempts=4), after_s=3.0, attempts=1)
    yield "restored before the quiet ended", healed(shared(quiet_s=324.9, attempts=4), after_s=3.0, attempts=1)


def _late() -> Told:
    yield "late, noticed late", healed(shared(), after_s=8.0, detected_s=5.0)
    yield "late, noticed half-way", healed(shared(), after_s=8.0, detected_s=4.0)
    yield "late, noticed at once", healed(shared(), after_s=8.0, detected_s=1.0)
    yield "late, and not seen to be noticed", healed(shared(), after_s=8.0)
    slow = hurt(ready(tale()), not_before_s=T0 - 0.6)
    yield "in time, or not, by how long the API took to answer the change", healed(slow, after_s=4.5)
    slow = hurt(ready(tale()), not_before_s=T0 - 0.4)
    yield "in time, however long the API took to answer the change", healed(slow, after_s=4.5)
    slow = hurt(ready(tale(), attempts=3, remaining_s=16.0), not_before_s=T0 - 0.6)
    yield "late, or not, by the back-off and by the API", healed(slow, after_s=20.5, attempts=4)
    waiting: dict[str, Any] = {"attempts": 3, "remaining_s": 16.0}
    yield "late after the back-off", healed(shared(**waiting), after_s=21.001, attempts=4)
    unknown = hurt(ready(tale(version="unknown"), remaining_s=16.0))
    yield "late, and the version is not known", healed(unknown, after_s=8.0)
    yield "in time, and the version is not known", healed(hurt(ready(tale(version="unknown"))), attempts=1)
    yield (
        "in time, the version is not known, the count is odd",
        healed(hurt(ready(tale(version="unknown"))), attempts=7),
    )


def _not_healed() -> Told:
    yield "not healed", unhealed(shared(), checked={"self_heal_off": False})
    yield "not healed, and nothing said", shared().tell("drift", "Drift/image", "not-healed", at=T0 + 60, waited_s=60.0)
    yield "not healed, and not said how long", unhealed(shared(), waited_s=None)
    for how, said in {
        "only after a refresh": {"restored": True, "manager": "argocd-controller"},
        "after a refresh, nobody says by whom": {"restored": True, "manager": ""},
        "after a refresh, by somebody else": {"restored": True, "manager": "kubectl-edit"},
        "nor after a refresh": {"restored": False, "manager": ""},
    }.items():
        yield f"healed {how}", unhealed(shared()).tell("drift", "Drift/image", "refreshed", at=T0 + 61, **said)
    several = {"controller_away": True, "sync_window": True, "sunspots": True}
    yield "not healed for several reasons", unhealed(shared(), checked=several)
    yield "not watched long enough", unhealed(shared(remaining_s=16.0), waited_s=20.9)
    yield "watched just long enough", unhealed(shared(remaining_s=16.0), waited_s=21.0)
    by_choice = ("automated_off", "self_heal_off", "skip_reconcile", "sync_window", "ignored_difference")
    broken = (
        "last_sync_failed", "deleting", "comparison_failed", "operation_running", "not_tracked", "controller_away",
    )  # fmt: skip
    for cause in (*by_choice, *broken):
        told = hurt(ready(tale(must_heal=False)))
        yield f"{cause}, where nobody promised it", unhealed(told, checked={cause: True})
    unread = hurt(ready(tale(must_heal=False)))
    yield "a choice that nobody could read, where nobody promised it", unhealed(unread, checked={"sync_window": None})
    unread = hurt(ready(tale(must_heal=False)))
    yield "what nobody could read is no choice", unhealed(unread, checked={"controller_away": None})
    yield "not healed, blind", gap(unhealed(shared()), T0 + 1, T0 + 2, reason="API away")
    yield "off by choice, blind", gap(unhealed(shared(), checked={"self_heal_off": True}), T0 + 1, T0 + 2)
    yield "broken, blind", gap(unhealed(shared(), checked={"last_sync_failed": True}), T0 + 1, T0 + 2)
    yield (
        "by choice, and broken besides",
        unhealed(hurt(ready(tale(must_heal=False))), checked={"last_sync_failed": True, "ignored_difference": True}),
    )


def _schedules() -> Told:
    """The schedule is told once, by the first trial that was judged."""
    yield "no model", healed(hurt(ready(tale(version=None))))
    yield "a model without a version", healed(hurt(ready(tale(version=""))))
    yield "a model that knows no limit", healed(hurt(ready(tale(version="v3.0.0"))))
    yield "a limit that is never kept", healed(hurt(ready(tale(version="v2.10.0"))))
    yield "a limit that is kept for long", healed(hurt(ready(tale(limit_s=60.0))))
    own = Story("drift", plan=tale().plan)
    own.tell(
        "drift", "Drift", "model", at=190, version="v3.2.6", rule="revision", start_s=1, factor=2, cap_s=10,
        cooldown_s=7, fixed_delay_s=3, known=1,
    )  # fmt: skip
    yield "settings of its own", healed(hurt(ready(own)))
    quiet = Story("drift", plan=tale().plan)
    quiet.tell(
        "drift", "Drift", "model", at=190, version="v3.2.6", rule="quiet", start_s=2, factor=3, cap_s=300,
        cooldown_s=60, fixed_delay_s=0, known=True,
    )  # fmt: skip
    yield "a cooldown of its own", healed(hurt(ready(quiet, attempts=4, quiet_s=62.0)), attempts=1)
    fixed = Story("drift", plan=tale(limit_s=10.0).plan)
    fixed.tell(
        "drift", "Drift", "model", at=190, version="v2.11.0", rule="none", start_s=0, factor=3, cap_s=300,
        cooldown_s=330, fixed_delay_s=7, known=True,
    )  # fmt: skip
    yield "a fixed delay", healed(hurt(ready(fixed)))
    several = ready(tale("env", "image", "service"), "env", fair=False)
    yield "several trials", healed(hurt(ready(several)))
    again = ready(healed(shared())).tell("drift", "Drift/image", "void", at=T0)
    yield "done again, the last one counts", again
    other = ready(tale("image"), "image-of-another")
    yield "a trial whose name begins like another's", hurt(other, "image-of-another")
