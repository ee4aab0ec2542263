"""Registry: every fault by its name. A module of this package that has a `FAULT` is one, so that no list names it."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache, partial
from types import MappingProxyType

from rollproof.clients.kube import Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Target
from rollproof.errors import InputError
from rollproof.faults import objects
from rollproof.faults.base import Context, Fault
from rollproof.store.journal import Handler

__all__ = ["FENCED", "all_faults", "changed_kinds", "check_names", "fault_named", "plan_faults", "undo_handlers"]

FENCED = "traffic could feel it, and the target is marked as production: --i-mean-production allows it"


@cache
def all_faults() -> Mapping[str, Fault]:
    """Every fault by its name."""
    package = importlib.import_module(__package__)
    modules = [importlib.import_module(f"{__package__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    faults: list[Fault] = [module.FAULT for module in modules if hasattr(module, "FAULT")]
    return MappingProxyType({fault.name: fault for fault in sorted(faults, key=lambda fault: fault.name)})


def fault_named(name: str) -> Fault:
    """The fault of that name; InputError with the nearest one if there is none."""
    known = all_faults()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise InputError(f"there is no fault {name!r}", hint)


def check_names(target: Target) -> None:
    """InputError if the target file has a limit for a fault that does not exist."""
    for name in target.faults.recovery_limits_s:
        try:
            fault_named(name)
        except InputError as error:
            raise InputError(f"faults.recovery_limits_s: {error}", error.hint) from None


def plan_faults(names: Iterable[str], context: Context) -> tuple[Injection | Skip, ...]:
    """For each of these faults what would be done to the target now, or why it cannot be done here."""
    return tuple(_plan(fault_named(name), context) for name in names)


def _plan(fault: Fault, context: Context) -> Injection | Skip:
    if fault.affects_traffic and context.target.fences.production:
        return context.skip(fault, FENCED)
    return fault.available(context)


def undo_handlers(kube: Kube) -> Mapping[str, Handler]:
    """Who undoes the entries of the journal, by their kind: the fault of that name."""
    return {**objects.undo_handlers(kube), **{name: partial(one.undo, kube) for name, one in all_faults().items()}}


def changed_kinds() -> frozenset[str]:
    """The kinds of object that faults change; an entry of the journal about another kind is none of ours."""
    return objects.KINDS.union(*(fault.kinds for fault in all_faults().values()))
