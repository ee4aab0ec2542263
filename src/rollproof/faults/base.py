"""Base: what a fault is (docs/faults/README.md says how to add one).

A fault answers questions and makes one change. Order, journal, lock, facts and waiting are the runner's; verdicts are
the checkers'.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.blast import Blast
from rollproof.core.fault import subject_of
from rollproof.core.injection import NO_DEAD_MAN, Injection, Skip
from rollproof.core.permission import READING, Permission
from rollproof.core.reasons import NotBack, RepairedBy, TakenIn
from rollproof.core.target import Target
from rollproof.faults.deadman import Owner, OwnerJob
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.store.journal import Undone

__all__ = ["AnyFault", "Context", "Effect", "Fault", "Injected", "LiveContext", "Void", "Watching", "Ways"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a fault may look at before a run. It reads, and changes nothing."""

    drill: str
    target: Target
    kube: Kube
    argo: Argo
    repo: EnvRepo | None = None

    @property
    def env_repo(self) -> EnvRepo:
        """The env repo, for faults that push to it."""
        if self.repo is None:
            raise RuntimeError("there is no env repo in this context")
        return self.repo

    def injection(
        self, fault: AnyFault, subject: str, *, change: str, undo: str, args: Mapping[str, Any],
        dead_man: str = NO_DEAD_MAN, effect_after_s: float = 0.0, recovery_after_s: float = 0.0,
    ) -> Injection:  # fmt: skip
        """The injection of this fault on this target, with the limits of the target file.

        effect_after_s, recovery_after_s: how long the platform or the app may take by its own settings before an effect
        can be seen, or before the recovery can begin.
        """
        limits = self.target.faults
        return Injection(
            fault=fault.name, drill=self.drill, subject=subject, change=change, undo=undo, args=args,
            affects_traffic=fault.affects_traffic, dead_man=dead_man,
            effect_within_s=limits.effect_within_s + effect_after_s,
            limit_s=limits.recovery_limits_s.get(fault.name, limits.recovery_limit_s + recovery_after_s),
        )  # fmt: skip

    def skip(self, fault: AnyFault, reason: str) -> Skip:
        """Why this target cannot have this fault."""
        return Skip(fault=fault.name, drill=self.drill, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveContext(Context):
    """The same during a run: what the run's watches show. All that proves an effect or a recovery comes from there."""

    watches: Watches
    prover: Prover | None = None
    sha: str = ""
    in_release: bool = False  # a commit was pushed just before, and is not to be deployed while a fault lasts
    owner: Owner | None = None  # the dead-man of the fault that is injected now, if it has one in the cluster

    @property
    def app(self) -> Prover:
        """Asks the app what it says of itself; each answer is a fact. `sha` is the version that should answer."""
        if self.prover is None:
            raise RuntimeError("nobody can ask the app in this context")
        return self.prover


@dataclass(frozen=True, slots=True)
class Watching:
    """Pods beside the target's own, a node or an autoscaler, watched from before the fault until it is over."""

    namespace: str = ""
    labels: str = ""
    argocd: bool = False  # where Argo CD lives, which may be another cluster
    node: str = ""  # the name of one node instead
    autoscaler: str = ""  # the name of one autoscaler of the app's namespace instead


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to the target that an undo may need: of a process that may have nothing else of the run."""

    target: Target
    kube: Kube
    repo: EnvRepo | None = None


@dataclass(frozen=True, slots=True)
class Injected:
    """The change was answered. `data` is for the fact `injected`: uid, resource_version, ..."""

    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Void:
    """No test came of it, and why: the plan was not true any more, or somebody else's deed hides the effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class Effect:
    """The watched fact that proves the effect, in words, and the uids of the pods that it was seen on.

    said: more fields of the fact `effect`, for a checker of its own (docs/facts.md).
    """

    watched: str
    pods: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)


class AnyFault(ABC):
    """What plan, permissions, production fence and undo know of a fault.

    name: as in the plan and the target file. affects_traffic: whether users could feel it; then the production fence
    keeps it away. peers: what other chaos tools call it. kinds: the kinds of object that it changes; its undo touches
    no other. trial: of a drift, its name in `drift.trials`. journal_kind: the kind of its entries in the undo journal,
    "" for its name. breaks_entry: it breaks the way in that the control lane goes too. starts_container: a container of
    the app must start and be ready again before it is recovered from.
    others: what it does to whoever else uses what it is done to, for the plan; "" where that is nobody.
    """

    name: str
    affects_traffic: bool
    peers: str
    kinds: frozenset[str]
    trial: str = ""
    journal_kind: str = ""
    breaks_entry: bool = False
    starts_container: bool = False
    others: str = ""

    @property
    def subject(self) -> str:
        """Its subject on the timeline."""
        return subject_of(self.name)

    @abstractmethod
    def permissions(self, target: Target) -> Iterable[Permission]:
        """All that it needs beyond what every run does."""

    def planning_permissions(self, target: Target) -> Iterable[Permission]:
        """Those of them that `available` needs: of most faults all that only read."""
        return (one for one in self.permissions(target) if one.verb in READING)

    @abstractmethod
    def available(self, context: Context) -> Injection | Skip:
        """What would be done to this target now. Reads only; what is wrong for other reasons is raised."""

    def blast(self, injection: Injection, target: Target) -> Blast:  # noqa: ARG002 - the settings of some decide it
        """How much it can take away at once: the pods that its args name, or else all of the app's."""
        args = injection.args
        pods = len(args["pods"]) if "pods" in args else 1 if args.get("kind") == "Pod" else None
        return Blast(pods=pods, nodes=1 if injection.subject.startswith("Node/") else 0)

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:  # noqa: ARG002 - there is nothing to look at
        """Put it back, from what the journal has: any number of times, never over what somebody else changed since."""
        return Undone("not-needed", reason="there is nothing to put back")

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:  # noqa: ARG002 - few ask for it
        """The same, for a fault whose undo needs a way that the target file names (into a node)."""
        return self.undo(kube, args)

    def undo_by(self, ways: Ways, args: Mapping[str, Any]) -> Undone:
        """The same, for a fault whose undo needs the env repo."""
        return self.undo_on(ways.target, ways.kube, args)


class Fault(AnyFault):
    """One way to break something, as the runner injects it. Its module is named like it, with "_" for "-".

    held: it lasts until it is undone. So it is left in place for `faults.hold_s` once it was felt, then undone, and the
    recovery is timed from there.
    outage_by_design: it takes away what every answer of the app needs (the database, the only entry), so that a load
    that loses everything does not end the drill before the fault's own times are over (`faults.abort_after_s`).
    loss_by_design: until the platform has noticed it some requests must be lost, for as long as its loss budget allows
    (`judge.checkers.loss`): a load that loses so many does not end the drill.
    lingers_s: how long after it was undone something may still remember it that no watch shows (a cache of names, the
    connections of a network policy): the next drill of the run waits for so long.
    """

    held: ClassVar[bool] = False
    outage_by_design: ClassVar[bool] = False
    loss_by_design: ClassVar[bool] = False
    lingers_s: ClassVar[float] = 0.0

    def blast(self, injection: Injection, target: Target) -> Blast:
        """One that is held lasts until it is undone: until its effect was seen, and then for `faults.hold_s`."""
        lasts_s = injection.effect_within_s + target.faults.hold_s if self.held else 0.0
        return replace(super().blast(injection, target), lasts_s=lasts_s)

    def brings(self, injection: Injection) -> str:  # noqa: ARG002 - most bring none
        """The version of the app that it brings, which may answer until it is taken away; "" for none."""
        return ""

    @abstractmethod
    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """What is not as the plan says any more, in words; "" if all is."""

    @abstractmethod
    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """Make the change, by one request that is bound to the object of the plan (uid)."""

    @abstractmethod
    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """What the watches show now that proves an effect; None if nothing does, Void if nothing ever will."""

    @abstractmethod
    def missing(self, injection: Injection, live: LiveContext) -> str:
        """What is missing for the steady state, as the watches show it now, in words; "" if it is back."""

    def dead_man(self, args: Mapping[str, Any], target: Target) -> OwnerJob | None:  # noqa: ARG002 - most leave nothing
        """What undoes it in the cluster if nobody comes back: armed before the fault, and ended after its undo."""
        return None

    def steady_looks(self, injection: Injection) -> int:  # noqa: ARG002 - for most the same
        """In how many looks, 1 s apart, nothing may be missing: it may flicker while pods come up."""
        return 3

    def left_behind(self, injection: Injection, live: LiveContext) -> str:  # noqa: ARG002 - of most nothing is
        """What of it is still in the app after its undo, in words: it is waited for, and users may feel it go."""
        return ""

    def watched(self, injection: Injection) -> Iterable[Watching]:  # noqa: ARG002 - the target's own are enough
        """What `evidence` and `missing` need to see beside the target's own objects."""
        return ()

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:  # noqa: ARG002 - most ask nothing
        """Ask what must be true while a held fault lasts: facts, which checkers judge. Void if its effect ended."""
        return None

    def finish(self, injection: Injection, live: LiveContext) -> None:
        """What a held fault does last, after it was held and before it is undone."""

    def why_not_back(self, injection: Injection, live: LiveContext) -> NotBack | None:  # noqa: ARG002 - most do not know
        """Why there was no recovery, where positive evidence says so; asked once."""
        return None

    def repaired_by(self, injection: Injection, live: LiveContext) -> RepairedBy | TakenIn | None:  # noqa: ARG002
        """Who has repaired it, or how it was taken in, where that decides; asked once, at the end of the recovery."""
        return None
