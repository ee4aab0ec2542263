"""`rollproof export`: a stored run, judged again, to standard output or into a file."""

from __future__ import annotations

from pathlib import Path

from rollproof.judge.judging import judge_run
from rollproof.reports.exports import exporter, sender
from rollproof.reports.files import deliver
from rollproof.reports.output import print_all
from rollproof.store.runfolder import RunFolder

__all__ = ["export_run", "send_run"]


def export_run(path: Path, form: str, out: Path | None) -> None:
    """Print the run in that form, or write it to `out`, whole or not at all.

    InputError: an unknown form, a missing extra, or a file that cannot be written. RunFolderError: no run is there.
    """
    write = exporter(form)  # before a million requests are judged for nothing
    with RunFolder.open(path) as folder:
        text = write(judge_run(folder))
    deliver(text, out)


def send_run(path: Path, form: str, endpoint: str) -> None:
    """Send the run in that form to an endpoint that somebody named. Raises what `export_run` does, and the sender."""
    deliver = sender(form)
    with RunFolder.open(path) as folder:
        print_all(deliver(judge_run(folder), endpoint) + "\n")
