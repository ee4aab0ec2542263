"""`rollproof init`: asks a cluster and its Argo CD, and writes a target file that a person reads once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rollproof.clients.kube import Kube
from rollproof.errors import InputError
from rollproof.preflight.survey import ask
from rollproof.target.draft import Given, draft
from rollproof.target.schema import schema_text

__all__ = ["write_target"]


_SCHEMA = "target.schema.json"


def write_target(given: Given, application: str, deployment: str, out: Path | None) -> tuple[list[Path], list[str]]:
    """Write the file, and beside it the schema that its first line names, if that is not there yet.

    Returns what was written, the target file first, and what a person has to look at. The cluster is not changed.
    InputError where the cluster leaves a choice, or where there is such a file already: it is never overwritten.
    """
    found = ask(Kube(given.context, given.kubeconfig), application, deployment)
    path = out or Path("targets") / f"{found.application}.toml"
    written = replace(given, kubeconfig=_from(path, given.kubeconfig), env_file=_from(path, given.env_file))
    if not _write_new(path, f"#:schema ./{_SCHEMA}\n{draft(found, written)}"):
        raise InputError(f"{path} is there already", "name another file with --out")
    schema = path.with_name(_SCHEMA)
    return [path, *([schema] if _write_new(schema, schema_text()) else [])], list(found.notes)


def _from(file: Path, said: str) -> str:
    """A path that a person said from where they stand, as the file must say it: from its own folder."""
    if not said or said.startswith("~") or Path(said).is_absolute():
        return said
    path = Path(said)
    return os.path.relpath(path.parent.resolve() / path.name, file.parent.resolve())


def _write_new(path: Path, text: str) -> bool:
    """Whether it was written: not where there is something of that name. InputError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        if not path.parent.is_dir():
            raise InputError(f"{path.parent} is no folder", "name another file with --out") from None
        return False
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another file with --out") from None
    return True
