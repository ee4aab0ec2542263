"""Registry: every fault by its name: the `FAULT`, or the `FAULTS`, of each module of this package. No list has them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache, partial
from types import MappingProxyType

from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.faults.base import AnyFault, Context, Ways
from rollproof.faults.deadman import end_job
from rollproof.store.journal import DEAD_MAN, Handler
from rollproof.suites import Drill

__all__ = [
    "all_faults",
    "changed_kinds",
    "check_names",
    "fault_named",
    "faults_of",
    "is_kept_away",
    "may_leave_pods",
    "plan_faults",
    "undo_handlers",
]

_FENCED = "traffic could feel it, and the target is marked as production: --i-mean-production NAME allows it"


@cache
def all_faults() -> Mapping[str, AnyFault]:
    """Every fault by its name."""
    package = importlib.import_module(__package__)
    modules = [importlib.import_module(f"{__package__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    faults: list[AnyFault] = [module.FAULT for module in modules if hasattr(module, "FAULT")]
    faults += [fault for module in modules for fault in getattr(module, "FAULTS", ())]
    return MappingProxyType({fault.name: fault for fault in sorted(faults, key=lambda fault: fault.name)})


def fault_named(name: str) -> AnyFault:
    """The fault of that name; InputError with the nearest one if there is none."""
    known = all_faults()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise InputError(f"there is no fault {name!r}", hint)


def check_names(target: Target) -> None:
    """InputError if the target file has a limit or a budget for a fault that does not exist."""
    limits = {
        "recovery_limits_s": target.faults.recovery_limits_s, "loss_budgets_s": target.faults.loss_budgets_s
    }  # fmt: skip
    for setting, name in ((setting, name) for setting, named in limits.items() for name in named):
        try:
            fault_named(name)
        except InputError as error:
            raise InputError(f"faults.{setting}: {error}", error.hint) from None


def plan_faults(names: Iterable[str], context: Context) -> tuple[Injection | Skip, ...]:
    """For each of these faults what would be done to the target now, or why it cannot be done here."""
    return tuple(_plan(fault_named(name), context) for name in names)


def _plan(fault: AnyFault, context: Context) -> Injection | Skip:
    return context.skip(fault, _FENCED) if is_kept_away(fault, context.target) else fault.available(context)


def is_kept_away(fault: AnyFault, target: Target) -> bool:
    """Does the production fence keep this fault from the target?"""
    return target.fences.production and fault.affects_traffic


def may_leave_pods(fault: AnyFault) -> bool:
    """Could it leave pods behind that do not serve although it was undone? What a drift has changed, git heals."""
    return fault.affects_traffic and not fault.trial


def faults_of(drill: Drill, target: Target) -> tuple[str, ...]:
    """The faults of a drill on this target: those of its marker, and of the drift drill the target's trials."""
    names = {fault.trial: name for name, fault in all_faults().items() if fault.trial}
    return (*drill.faults, *(names[trial] for trial in target.drift.trials if drill.drifts))


def undo_handlers(kube: Kube, target: Target, repo: EnvRepo | None = None) -> Mapping[str, Handler]:
    """Who undoes the entries of the journal, by their kind. Ways and settings are the target's, never the journal's."""
    ways = Ways(target, kube, repo)
    undo = {fault.journal_kind or name: partial(fault.undo_by, ways) for name, fault in all_faults().items()}
    return {**undo, DEAD_MAN: partial(end_job, kube)}


def changed_kinds() -> Mapping[str, frozenset[str]]:
    """By the kind of a journal's entry the kinds of object that its undo changes; one about another is none of ours."""
    found = {DEAD_MAN: frozenset({"Job"})}
    for name, fault in all_faults().items():
        entry = fault.journal_kind or name
        found[entry] = found.get(entry, frozenset()) | fault.kinds
    return found
