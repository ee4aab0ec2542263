"""Files that a person names: whole, bounded, and never waited for without an end."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from targettoml import target_toml

from rollproof.clients.credentials import learn_kubeconfig
from rollproof.clients.inputfile import check_regular, read_input
from rollproof.clients.kubeconfig import CredentialsError, api_client
from rollproof.errors import InputError, TargetFileError
from rollproof.redaction import SECRETS
from rollproof.target.file import load
from rollproof.target.lines import noted


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollproof.clients.inputfile._PIPE_S", 0.2)


def endless(tmp_path: Path, what: str) -> Path:
    """A file without an end: a device, a pipe that nobody writes to, a file that is larger than any of ours."""
    if what == "device":
        return Path("/dev/zero")
    path = tmp_path / what
    if what == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as stream:
            stream.truncate(1 << 40)
    return path


ENDLESS = pytest.mark.parametrize("what", ["device", "pipe", "large"])


@ENDLESS
def test_a_file_without_an_end_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(OSError, match=r"no regular file|nobody wrote it to its end|more than 1,048,576 bytes"):
        read_input(endless(tmp_path, what))
    with pytest.raises(OSError, match=r"no regular file|more than 1,048,576 bytes"):
        check_regular(Path("/dev/zero") if what == "device" else tmp_path / what)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = b"x" * 300_000
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert read_input(pipe) == content
    writer.join()


def test_a_regular_file_is_read_whole_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a" * 200_000)
    (tmp_path / "link").symlink_to("file")
    assert read_input(tmp_path / "link") == b"a" * 200_000
    check_regular(tmp_path / "link")
    check_regular(tmp_path / "not-there")
    with pytest.raises(OSError, match="more than 100,000 bytes"):
        read_input(tmp_path / "link", size_max=100_000)


@ENDLESS
def test_no_target_file_has_no_end(tmp_path: Path, what: str) -> None:
    path = endless(tmp_path, what)
    with pytest.raises(TargetFileError, match="cannot be read: it "):
        load(path, {})
    assert noted(path)["lines"] == {}


@ENDLESS
def test_no_env_file_has_no_end(tmp_path: Path, what: str) -> None:
    path = tmp_path / "target.toml"
    path.write_text(f'env_file = "{endless(tmp_path, what)}"\n{target_toml(load_host="127.0.0.1")}')
    with pytest.raises(TargetFileError, match=r"env_file .* cannot be read: it "):
        load(path, {})


@ENDLESS
@pytest.mark.parametrize("by", ["name", "KUBECONFIG"])
def test_no_kubeconfig_has_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, by: str) -> None:
    path = str(endless(tmp_path, what))
    monkeypatch.setenv("KUBECONFIG", f":{path}")
    learn_kubeconfig(path if by == "name" else "")
    with pytest.raises(InputError, match=r"kubeconfig .* cannot be read: it "):
        api_client("staging", path if by == "name" else "")


def kubeconfig(tmp_path: Path, token: str) -> str:
    path = tmp_path / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
        f"clusters: [{{name: k, cluster: {{server: 'https://127.0.0.1:9'}}}}]\nusers: [{{name: u, user: {token}}}]\n"
    )
    return str(path)


def test_no_token_file_has_no_end(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="tokenFile /dev/zero of context 'c': it is no regular file"):
        api_client("c", kubeconfig(tmp_path, "{tokenFile: /dev/zero}"))


def test_a_token_is_learned_from_a_kubeconfig_of_the_size_that_is_read(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "{token: tok-0123456789-secret}")
    with Path(path).open("a") as stream:
        stream.write("#" * (1 << 20))
    api_client("c", path)
    assert SECRETS.holds("tok-0123456789-secret")


def test_an_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kube").mkdir()
    Path(kubeconfig(tmp_path, "{token: tok-9876543210-secret}")).rename(tmp_path / ".kube/config")
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert api_client("c", "").configuration.host == "https://127.0.0.1:9"


@pytest.mark.parametrize(
    "text",
    [
        "schema = " + "9" * 5000, "schema = 0x" + "f" * 9000, "a = " + "[" * 100_000, "a = " + "{a = " * 5000,
        "cluster.a" + ".a" * 1900 + " = 1", "a" + ".a" * 100_000 + " = 1", "[a" + ".a" * 100_000 + "]",
    ],
    ids=["digits", "hexadecimal", "lists", "tables", "dotted", "dotted-far", "header"],
)  # fmt: skip
def test_what_toml_allows_and_no_setting_can_have(tmp_path: Path, text: str) -> None:
    path = tmp_path / "target.toml"
    path.write_text(text)
    with pytest.raises(TargetFileError, match="holds a number or a nesting that no setting can have"):
        load(path, {})
