"""`rollproof init`: asks a cluster and its Argo CD, and writes a target file that a person reads once."""

from __future__ import annotations

from pathlib import Path

from rollproof.clients.kube import Kube
from rollproof.errors import InputError
from rollproof.preflight.survey import ask
from rollproof.target.draft import Given, draft

__all__ = ["write_target"]


def write_target(given: Given, application: str, deployment: str, out: Path | None) -> tuple[Path, tuple[str, ...]]:
    """Write the file; returns where it is, and what a person has to look at. Nothing in the cluster is changed.

    InputError where the cluster leaves a choice, or where there is such a file already: it is never overwritten.
    """
    found = ask(Kube(given.context, given.kubeconfig), application, deployment)
    path = out or Path("targets") / f"{found.application}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(draft(found, given))
    except FileExistsError:
        raise InputError(f"{path} is there already", "name another file with --out") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another file with --out") from None
    return path, found.notes
