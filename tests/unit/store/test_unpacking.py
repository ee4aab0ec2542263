"""Request logs are unpacked ahead of their reader, and nothing in a folder from a stranger is believed meanwhile."""

from __future__ import annotations

import bz2
import io
import json
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from rollproof.core.requests import RequestLog
from rollproof.errors import RunFolderError
from rollproof.store import requestlog, unpacking

HISTORY = Path(__file__).resolve().parents[2] / "histories" / "good" / "all"
LOG = next(iter(sorted(HISTORY.glob("requests-*.npz"))))


def run_of(folder: Path, drills: object) -> Path:
    (folder / "plan.json").write_text(json.dumps({"drills": drills}))
    return folder


def packed(path: Path, parts: dict[str, bytes], way: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", way) as archive:
        for name, content in parts.items():
            archive.writestr(f"{name}.npy", content)
    return path


def as_npy(array: object) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def test_the_logs_of_the_plan_are_unpacked_once_and_are_the_same() -> None:
    drills = json.loads((HISTORY / "plan.json").read_text())["drills"]
    paths = [path for drill in drills if (path := unpacking.requests_path(HISTORY, drill)).exists()]
    assert paths
    with unpacking.ahead(HISTORY) as logs:
        for path in paths:
            first, again = logs.unpack(path), logs.unpack(path)
            assert first == again == unpacking.unpacked(path)
            assert first is not again, "the bytes are kept by nobody but their reader"
            before, after = requestlog.read(path), requestlog.read(path, lambda _, found=first: found)
            assert (before.rows == after.rows).all()
            assert before.lanes == after.lanes


def test_it_has_begun_before_anybody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = unpacking.requests_path(run_of(tmp_path, ["drift"]), "drift")
    path.write_bytes(LOG.read_bytes())
    begun, real = threading.Event(), unpacking.unpacked

    def told(path: Path) -> Mapping[str, bytes]:
        found = real(path)
        begun.set()
        return found

    monkeypatch.setattr(unpacking, "unpacked", told)
    with unpacking.ahead(tmp_path) as logs:
        assert begun.wait(30)
        path.unlink()
        assert logs.unpack(path) == real(LOG)
        with pytest.raises(FileNotFoundError):
            logs.unpack(path)  # the second time it is read by itself


def test_a_log_is_read_in_the_same_thread_with_the_columns_that_judging_asks_for(tmp_path: Path) -> None:
    path = unpacking.requests_path(run_of(tmp_path, ["drift", "release"]), "drift")
    path.write_bytes(LOG.read_bytes())
    where: list[str] = []

    def read(path: Path, unpack: unpacking.Unpack) -> RequestLog:
        where.append(threading.current_thread().name)
        return requestlog.read_for_judging(path, unpack)

    with unpacking.ahead(tmp_path) as logs:
        taken = logs.reader(read)
        first, again = taken(path), taken(path)
        with pytest.raises(FileNotFoundError):
            taken(unpacking.requests_path(tmp_path, "release"))  # it was begun too, and its error waits for who asks
    expected = requestlog.read(LOG)
    assert where[:2] == ["unpacking_0"] * 2
    assert where[2:] == [threading.current_thread().name], "the second time it is read by itself"
    assert first is not again
    assert (first.rows == expected.rows).all()
    assert {"column send_ns", "column intended_ns", "column done_ns"} <= {*first._made}
    assert all((first.column(name) == expected.column(name)).all() for name in ("send_ns", "intended_ns", "done_ns"))


class AtOnce:
    """A worker that has done everything before anybody can look."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, do: Callable[..., object], *words: object) -> Future[object]:
        done: Future[object] = Future()
        done.set_result(do(*words))
        return done

    def shutdown(self, **_: object) -> None:
        pass


def test_a_thread_that_is_faster_than_its_reader_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It took files out of the table while that was gone through: `dictionary changed size during iteration`."""
    paths = [unpacking.requests_path(run_of(tmp_path, ["drift", "release"]), drill) for drill in ("drift", "release")]
    for path in paths:
        path.write_bytes(LOG.read_bytes())
    monkeypatch.setattr(unpacking, "ThreadPoolExecutor", AtOnce)
    with unpacking.ahead(tmp_path) as logs:
        taken = logs.reader(requestlog.read_for_judging)
        assert [len(taken(path).rows) for path in paths] == [len(requestlog.read(LOG).rows)] * 2


def test_an_error_is_raised_by_whoever_asks_for_the_file(tmp_path: Path) -> None:
    run_of(tmp_path, ["drift", "release", "link"])
    damaged, link = (unpacking.requests_path(tmp_path, drill) for drill in ("drift", "link"))
    damaged.write_bytes(LOG.read_bytes()[:-100])
    link.symlink_to(LOG)
    with unpacking.ahead(tmp_path) as logs:
        with pytest.raises(zipfile.BadZipFile):
            logs.unpack(damaged)
        with pytest.raises(FileNotFoundError):
            logs.unpack(unpacking.requests_path(tmp_path, "release"))
        with pytest.raises(RunFolderError, match="no regular file"):
            logs.unpack(link)


@pytest.mark.parametrize("drills", [None, "drift", {}, [1, None, "../drift", "a/b", "", "UPPER", "a" * 99]])
def test_no_name_of_a_plan_leads_anywhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drills: object) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(unpacking, "unpacked", asked.append)
    (tmp_path / "requests-").mkdir()
    (tmp_path.parent / "drift.npz").write_bytes(LOG.read_bytes())
    with unpacking.ahead(run_of(tmp_path, drills)):
        pass
    assert asked == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_plan_is_not_its_business(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with unpacking.ahead(tmp_path) as logs, pytest.raises(FileNotFoundError):
        logs.unpack(unpacking.requests_path(tmp_path, "drift"))
    with unpacking.ahead(tmp_path / "none"):
        pass


PARTS = {name: as_npy(np.zeros(1)) for name in ("rows", "late_ns", "meta")}


def test_no_part_becomes_larger_than_it_says(tmp_path: Path) -> None:
    """A few bytes that become many: the size in the archive is a lie."""
    path = packed(tmp_path / "log.npz", {**PARTS, "rows": bytes(50_000_000)})
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<L", 50_000_000), struct.pack("<L", 1_000)))
    with pytest.raises(zipfile.BadZipFile):  # what was read of it is not what the checksum is of
        unpacking.unpacked(path)


def test_too_large_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_UNPACKED_MAX", 1_000)
    with pytest.raises(ValueError, match="too large"):
        unpacking.unpacked(packed(tmp_path / "log.npz", {**PARTS, "other": bytes(2_000)}))


def test_only_what_we_write_is_unpacked(tmp_path: Path) -> None:
    """bz2 and LZMA know no limit while they unpack."""
    assert bz2, "Python has it, so that zipfile would take it"
    with pytest.raises(ValueError, match="packed in a way"):
        unpacking.unpacked(packed(tmp_path / "log.npz", PARTS, zipfile.ZIP_BZIP2))


def test_an_array_of_objects_is_never_read(tmp_path: Path) -> None:
    path = packed(tmp_path / "log.npz", {**PARTS, "rows": as_npy(np.array([object()], dtype=object))})
    with pytest.raises(ValueError, match="OBJECT array"):
        requestlog.read(path)


@pytest.mark.parametrize(
    "change", [lambda one: one[:-1], lambda one: b"x" + one, lambda one: one[:6] + b"\x09" + one[7:]]
)
def test_what_is_no_array_is_damaged(tmp_path: Path, change: object) -> None:
    assert callable(change)
    path = packed(tmp_path / "log.npz", {**PARTS, "rows": change(PARTS["rows"])})
    with pytest.raises(requestlog.DAMAGED):
        requestlog.read(path)
    assert zlib.error in requestlog.DAMAGED


def test_the_rows_of_a_log_are_written_by_nobody() -> None:
    rows = requestlog.read(LOG).rows
    with pytest.raises(ValueError, match="read-only"):
        rows["status"][0] = 200
