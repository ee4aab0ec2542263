"""Where a report goes that somebody names with --out: a file as a whole, and what is no file is written to."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from rollproof.errors import InputError
from rollproof.redaction import SECRETS
from rollproof.reports.files import deliver

TEXT = "a report\n" * 20_000  # more than a pipe holds


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    """As /dev/stdout is one, which root could replace by a file."""
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    holder = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # there is a reader from now on
    reader.start()
    deliver(TEXT, pipe)
    os.close(holder)
    reader.join()
    assert read == [TEXT]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_device_is_written_to_through_a_link_too(tmp_path: Path) -> None:
    """Never through its own name here: a code that replaced it would break the machine of whoever tests it."""
    (tmp_path / "null").symlink_to("/dev/null")
    deliver(TEXT, tmp_path / "null")
    assert (tmp_path / "null").is_symlink()
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_pipe_that_nobody_reads_is_a_message(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe cannot be written: No such device or address"):
        deliver(TEXT, tmp_path / "pipe")


@pytest.mark.parametrize("name", ["", "/", ".", "..", "x" * 300, "file/below"])
def test_what_cannot_be_written_is_a_message(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(InputError, match="cannot be written: "):
        deliver(TEXT, Path("/") if name == "/" else tmp_path / name)
    assert (tmp_path / "file").read_text() == "before"


def test_a_file_is_replaced_as_a_whole_also_through_a_link(tmp_path: Path) -> None:
    SECRETS.add(["s3cret-value"])
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to("file")
    deliver("s3cret-value and more", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "[redacted] and more"
    deliver("new", tmp_path / "folder/new")
    assert (tmp_path / "folder/new").read_text() == "new"
