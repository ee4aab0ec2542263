"""Exports: a judged run in the form that another program reads (`rollproof export RUN --format NAME`).

Each form is a module with `text(report)`, pure except for its library; it is imported when it is requested, because
some need an extra. Nothing here decides anything: results come from the verdicts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from rollproof.errors import InputError
from rollproof.redaction import SECRETS

if TYPE_CHECKING:  # the command line's help names the forms, and must not import numpy for it
    from rollproof.reports.model import Report

__all__ = ["FORMS", "export", "exporter", "sender"]

FORMS: Mapping[str, str] = MappingProxyType({  # name -> "module.function" below this package
    "csv": "table.text",
    "github": "github.text",
    "junit": "table.junit",
    "openmetrics": "prometheus.openmetrics",
    "otlp": "otlp.text",
    "prom": "prometheus.text",
    "slack": "chat.slack",
    "teams": "chat.teams",
    "trace": "trace.text",
})  # fmt: skip
_EXTRAS = {"prometheus_client": "metrics", "opentelemetry": "otlp", "google": "otlp", "requests": "otlp"}
_SENDERS = {"otlp": "otlp.send", "prom": "pushgateway.send"}


def export(report: Report, form: str) -> str:
    """The run in that form, secrets hidden. Raises what `exporter` does."""
    return exporter(form)(report)


def exporter(form: str) -> Callable[[Report], str]:
    """Who writes a run in that form. InputError: there is no such form, or its extra is not installed."""
    if form not in FORMS:
        raise InputError(f"there is no format {form!r}", f"known: {', '.join(FORMS)}")
    write = _imported(form, FORMS[form])
    return lambda report: SECRETS.text(str(write(report)))


def sender(form: str) -> Callable[[Report, str, str], str]:
    """Who sends a run in that form to an endpoint (with an Authorization header, or ""), and says so.

    InputError: nobody does, or its extra is missing.
    """
    if form not in _SENDERS:
        raise InputError(f"--format {form} is sent nowhere", f"--endpoint is for: {', '.join(_SENDERS)}")
    return _imported(form, _SENDERS[form])


def _imported(form: str, place: str) -> Callable[..., str]:
    module, _, function = place.partition(".")
    try:
        found = importlib.import_module(f"{__package__}.{module}")
    except ModuleNotFoundError as error:
        missing = str(error.name)
        extra = _EXTRAS.get(missing.partition(".")[0])
        if extra is None:
            raise
        raise InputError(f"--format {form} needs {missing}", f"pip install 'rollproof[{extra}]'") from error
    write: Callable[..., str] = getattr(found, function)
    return write
