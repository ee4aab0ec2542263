"""Ports and folder: what cannot be had is one message, before anything was started."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from rollproof.errors import InputError
from rollproof_sandbox.folder import Folder, default_folder
from rollproof_sandbox.ingresslog import read_log
from rollproof_sandbox.ports import check_ports, chosen, parse_ports
from rollproof_sandbox.settings import Ports


def test_ports_as_they_are_said() -> None:
    assert parse_ports("auto") == Ports(api=0, ingress=0, git=0)
    assert parse_ports("1, 0,3") == Ports(api=1, ingress=0, git=3)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "a,b,c", "1,2,70000", "-1,2,3", "7,7,8"])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--ports"):
        parse_ports(text)


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {number} is not available for the sandbox's git server") as error:
            check_ports(Ports(api=0, ingress=0, git=number))
        assert "--ports auto" in error.value.hint


def test_chosen_ports_differ_and_are_not_those_of_outgoing_connections() -> None:
    ports = chosen(Ports(api=0, ingress=0, git=20_001))
    assert ports.git == 20_001
    assert len({ports.api, ports.ingress, ports.git}) == 3
    assert all(number < 32_768 for number in (ports.api, ports.ingress))


def test_the_default_folder() -> None:
    assert default_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/rollproof/sandbox")
    assert default_folder({}) == Path("~/.local/state/rollproof/sandbox").expanduser()


def test_a_second_sandbox_hears_of_the_first(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    first.take()
    first.write_credentials("pipeline")
    with pytest.raises(InputError, match=rf"a sandbox runs in {tmp_path} already \(pid {os.getpid()}\)"):
        second.take()
    assert (tmp_path / "credentials.env").exists()
    second.leave()
    first.leave()
    second.take()
    second.leave()


def test_what_was_left_by_a_killed_one_is_cleared_and_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "repos" / "env.git").mkdir(parents=True)
    (tmp_path / "repos" / "env.git" / "HEAD").write_text("ref: refs/heads/old\n")
    (tmp_path / "kubeconfig").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "sandbox.log").write_text("of the killed one\n")
    folder = Folder(tmp_path)
    folder.take()
    assert not folder.repo.exists()
    assert not folder.kubeconfig.exists()
    folder.leave()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "logs", "notes.txt"]


@pytest.mark.parametrize("name", ["repos/mine/code", "host/notes", "kubeconfig", "target.toml", "unlike.txt", "logs/x"])
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    """`--folder ~` would have removed ~/repos."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    (tmp_path / "other").write_text("mine")
    with pytest.raises(InputError, match=r"holds other things .* no sandbox was there before") as error:
        Folder(tmp_path).take()
    assert "--folder DIR" in error.value.hint
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("cut_at", ["nothing", "logs", "lock"])
def test_a_folder_in_which_a_sandbox_could_not_begin_is_taken(tmp_path: Path, cut_at: str) -> None:
    if cut_at != "nothing":
        (tmp_path / "logs").mkdir()
    if cut_at == "lock":
        (tmp_path / "lock").touch()
    folder = Folder(tmp_path)
    folder.take()
    folder.leave()


def test_secrets_are_the_owners_only_and_new_each_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.take()
    folder.write_credentials("pipeline")
    assert (tmp_path / "credentials.env").stat().st_mode & 0o077 == 0
    assert folder.git_password not in repr(folder)
    assert folder.git_password != Folder(tmp_path).git_password
    folder.leave()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written: Not a directory") as error:
        Folder(tmp_path / "file" / "sandbox").take()
    assert "--folder" in error.value.hint


def test_the_log_of_the_last_seconds(tmp_path: Path) -> None:
    path = tmp_path / "ingress.log"
    lines = [f'{{"t":{time.time() - ago:.3f},"id":"{ago}"}}\n' for ago in (300, 20, 1)]
    path.write_text("".join(lines))
    assert read_log(path, 150) == "".join(lines[1:])
    assert read_log(path, 0) == "".join(lines)
