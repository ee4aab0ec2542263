"""`rollproof export`: a stored run, judged again, to standard output or into a file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rollproof.clients.http import basic_auth
from rollproof.errors import LockedError
from rollproof.judge.judging import judge_run
from rollproof.redaction import SECRETS
from rollproof.reports.exports import exporter, sender
from rollproof.reports.files import deliver
from rollproof.reports.output import print_all
from rollproof.store.folderfiles import is_file, is_owned
from rollproof.store.reading import VERDICTS
from rollproof.store.runfolder import RunFolder

__all__ = ["export_run", "send_run"]


def export_run(path: Path, form: str, out: Path | None) -> None:
    """Print the run in that form, or write it to `out`, whole or not at all.

    InputError: an unknown form, a missing extra, or a file that cannot be written. RunFolderError: no run is there.
    LockedError: it is not over.
    """
    write = exporter(form)  # before a million requests are judged for nothing
    _check_over(path)
    with RunFolder.open(path) as folder:
        text = write(judge_run(folder))
    deliver(text, out)


def send_run(path: Path, form: str, endpoint: str, basic_auth_env: tuple[str, str] | None) -> None:
    """Send the run in that form to an endpoint that somebody named.

    basic_auth_env: the environment variables of its user and password. Raises what `export_run` does, and the sender;
    InputError: a variable is not set.
    """
    deliver = sender(form)
    authorization = ""
    if basic_auth_env:
        authorization = basic_auth(basic_auth_env, os.environ, "--basic-auth-env")
        SECRETS.add((os.environ[basic_auth_env[1]], authorization.partition(" ")[2]))
    _check_over(path)
    with RunFolder.open(path) as folder:
        print_all(deliver(judge_run(folder), endpoint, authorization) + "\n")


def _check_over(path: Path) -> None:
    """LockedError while the run is under way: half of it reads as if it had been killed and had undone nothing."""
    with suppress(OSError):
        if not is_file(path / VERDICTS) and is_owned(path):
            raise LockedError(f"{path} has no verdicts yet: the run is under way", "wait until it has ended")
