"""git in surroundings of our own: whatever the machine, the user and the server have, it does our work."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from envserver import IMAGE, OVERLAY, Server, git, release
from served import served

from rollproof.clients.git import Done, Git, GitError, GitTimeoutError
from rollproof.clients.gitanswers import PushRefusedError, PushUnansweredError, RaceError, check_push
from rollproof.clients.repo import EnvRepo
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import InputError, UnansweredError

PASSWORD = "hunter2-of-the-git-tests"
ENVIRON = {"U": "robot", "P": PASSWORD}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


def private(url: str, folder: Path, **changes: object) -> Git:
    target = EnvRepoTarget(url=url, overlay="o", image=IMAGE, username_env="U", password_env="P", **changes)  # type: ignore[arg-type]
    return Git(target, ENVIRON, folder)


@pytest.fixture
def answering() -> Iterator[Callable[[type[BaseHTTPRequestHandler]], str]]:
    """Starts HTTP servers; gives their URLs."""
    with ExitStack() as running:
        yield lambda handler: running.enter_context(served(ThreadingHTTPServer(("127.0.0.1", 0), handler)))


def handler(
    status: int, headers: Callable[[str], dict[str, str]], seen: list[str] | None = None
) -> type[BaseHTTPRequestHandler]:
    """Wants credentials, then says the same to all."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            sent = self.headers.get("Authorization", "")
            if seen is not None:
                seen.append(sent)
            self.send_response(status if sent else 401)
            if not sent:
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
            for name, value in headers(self.path).items() if sent else ():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


# -- secrets and their destination ------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_c1_no_redirect_is_followed_and_no_credential_goes_elsewhere(
    answering: Callable[[type[BaseHTTPRequestHandler]], str], status: int
) -> None:
    elsewhere: list[str] = []
    other = answering(handler(200, lambda _: {}, elsewhere))
    url = answering(handler(status, lambda path: {"Location": f"{other}{path}"}))
    target = EnvRepoTarget(url=f"{url}/env.git", overlay="o", image=IMAGE, username_env="U", password_env="P")
    with EnvRepo(target, ENVIRON) as repo, pytest.raises(GitError) as caught:
        repo.head()
    assert elsewhere == []
    assert "no redirect is followed: name the final address" in caught.value.hint
    assert PASSWORD not in str(caught.value)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("url", "asked", "given"),
    [
        ("https://git.example.com/env.git", "https://git.example.com", True),
        ("https://git.example.com/env.git", "https://git.example.com:443", True),
        ("https://git.example.com:8443/env.git", "https://git.example.com:8443", True),
        ("https://GIT.example.com/env.git", "https://git.example.com", True),
        ("http://127.0.0.1:8081/env.git", "http://127.0.0.1:8081", True),
        ("http://[::1]:8081/env.git", "http://[::1]:8081", True),
        ("https://git.example.com/env.git", "http://git.example.com", False),
        ("https://git.example.com/env.git", "https://git.example.com:8443", False),
        ("https://git.example.com:8443/env.git", "https://git.example.com", False),
        ("https://git.example.com/env.git", "https://evil.example.com", False),
        ("https://git.example.com/env.git", "https://git.example.com.evil.org", False),
        ("https://git.example.com/env.git", "https://sub.git.example.com", False),
        ("http://127.0.0.1:8081/env.git", "http://127.0.0.1:8082", False),
        ("http://127.0.0.1:8081/env.git", "http://localhost:8081", False),
        ("ssh://git@git.example.com/env.git", "https://git.example.com", False),
        ("file:///env.git", "https://git.example.com", False),
    ],
)
def test_c1_credentials_are_for_one_scheme_host_and_port(tmp_path: Path, url: str, asked: str, given: bool) -> None:
    runner = private(url, tmp_path)
    runner.start()
    done = runner.run("credential", "fill", stdin=f"url={asked}/env.git\n\n".encode())
    assert (PASSWORD.encode() in done.out) is given


@pytest.mark.processes
def test_b8_a_time_out_ends_every_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/env.git"
        target = EnvRepoTarget(
            url=url, overlay="o", image=IMAGE, username_env="U", password_env="P", timeout_s=0.5
        )  # fmt: skip
        with EnvRepo(target, {"U": "robot", "P": f"{PASSWORD}-{tmp_path.name}"}) as repo:
            with pytest.raises(GitTimeoutError, match=r"git fetch with .* did not end within 0.5 s") as caught:
                repo.head()
            assert "env_repo.timeout_s" in caught.value.hint
    assert _with_in_environment(f"{PASSWORD}-{tmp_path.name}") == []


def _with_in_environment(word: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (process / "environ").read_bytes():
                found.append((process / "comm").read_text())
        except OSError:
            continue
    return found


@pytest.mark.processes
def test_b8_after_a_time_out_the_clone_can_be_used_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with EnvRepo(server.target(), {}) as repo:
        repo.head()
        (repo._folder / "shallow.lock").touch()
        with monkeypatch.context() as patch:
            patch.setattr(repo.git, "_target", server.target(timeout_s=0.3))
            with pytest.raises(GitTimeoutError):
                _hang(repo)
        assert repo.head()


def _hang(repo: EnvRepo) -> None:
    """A git that starts something and waits for it."""
    repo.git.run("-c", "alias.hang=!sleep 60 & wait", "hang")


@pytest.mark.processes
def test_endless_output_is_ended(server: Server) -> None:
    with EnvRepo(server.target(), {}) as repo:
        repo.head()
        with pytest.raises(GitError, match="said more than"):
            repo.git.run("-c", "alias.talk=!cat /dev/zero", "talk")


@pytest.mark.processes
def test_what_git_cannot_be_given_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = private("file:///env.git", tmp_path)
    with pytest.raises(InputError, match="git cannot be run: embedded null byte"):
        runner.run("ls-tree", "a\0b")
    monkeypatch.setattr(runner, "_environ", {"PATH": str(tmp_path)})
    with pytest.raises(InputError, match="`git` is not installed"):
        runner.run("version")
    gone = private("file:///env.git", tmp_path / "gone")
    with pytest.raises(GitError, match=r"the private clone .* is gone"):
        gone.run("version")


# -- surroundings -----------------------------------------------------------------------------------------------------

REFUSING = "#!/bin/sh\necho ran >> {mark}\nexit 1\n"


def _script(path: Path, mark: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(REFUSING.format(mark=mark))
    path.chmod(0o755)
    return path


def _user_config(folder: Path, mark: Path) -> str:
    for name in (
        "pre-push",
        "pre-commit",
        "commit-msg",
        "reference-transaction",
        "post-index-change",
        "prepare-commit-msg",
    ):
        _script(folder / "hooks" / name, mark)
    return (
        f"[core]\n\thooksPath = {folder}/hooks\n\tfsmonitor = {_script(folder / 'fsmonitor', mark)}\n"
        f"\taskPass = {_script(folder / 'ask', mark)}\n\tautocrlf = true\n\teol = crlf\n"
        f'[url "file:///nowhere/"]\n\tinsteadOf = file://\n[init]\n\ttemplateDir = {folder}\n'
        "[commit]\n\tgpgSign = true\n[push]\n\tgpgSign = true\n[protocol]\n\tallow = never\n"
        f"[credential]\n\thelper = {_script(folder / 'helper', mark)}\n[i18n]\n\tcommitEncoding = latin-1\n"
    )


@pytest.mark.processes
@pytest.mark.parametrize("place", ["system", "home", "xdg", "global", "count", "parameters", "template"])
def test_e12_no_configuration_of_the_machine_or_the_user_has_an_effect(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    mark, folder = tmp_path / "ran", tmp_path / "config"
    config = _user_config(folder, mark)
    home = tmp_path / "home"
    (home / ".config" / "git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    path = {"home": home / ".gitconfig", "xdg": home / ".config" / "git" / "config"}.get(place, tmp_path / "gitconfig")
    path.write_text(config)
    if place in {"system", "global"}:
        monkeypatch.setenv(f"GIT_CONFIG_{place.upper()}", str(path))
    elif place == "count":
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(folder / "hooks"))
    elif place == "parameters":
        monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.hooksPath={folder}/hooks'")
    elif place == "template":
        monkeypatch.setenv("GIT_TEMPLATE_DIR", str(folder))
    with EnvRepo(server.target(), {}) as repo:
        repo.may_push()
        deployed = release(repo)
        repo.push(lambda: repo.revert(deployed.revision, message="r"), repo.revert(deployed.revision, message="r"))
    assert server.text() == OVERLAY
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES", "GIT_EXEC_PATH", "GIT_ALLOW_PROTOCOL",
        "GIT_PROTOCOL_FROM_USER", "GIT_AUTHOR_DATE", "GIT_COMMITTER_NAME", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE",
        "GIT_REPLACE_REF_BASE", "GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_TRACE", "GIT_TRACE_CURL",
        "GIT_TRACE2_EVENT", "GIT_EXTERNAL_DIFF", "GIT_DEFAULT_HASH", "GIT_QUARANTINE_PATH", "GIT_REF_PARANOIA",
        "GIT_ATTR_SOURCE", "GIT_PAGER", "GIT_EDITOR", "GIT_SSL_NO_VERIFY", "BASH_ENV", "LD_PRELOAD",
    ],
)  # fmt: skip
def test_e12_no_variable_of_git_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    given = private("https://git.example.com/env.git", tmp_path)._environ
    assert given.get(name) != str(tmp_path / "elsewhere")


@pytest.mark.processes
def test_e12_variables_of_git_change_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_TRACE", "GIT_TRACE_CURL"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "somebody else")
    with EnvRepo(server.target(), {}) as repo:
        release(repo)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_TRACE", "GIT_TRACE_CURL"):
        monkeypatch.delenv(name)
    assert not (tmp_path / "elsewhere").exists()
    assert (
        git(server.bare, "log", "-1", "--format=%an <%ae> %cn", "main") == "rollproof <rollproof@localhost> rollproof"
    )


def test_what_tells_how_to_get_there_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_SSL_CAINFO", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, f"/of/the/user/{name}")
    monkeypatch.setenv("HOME", "/of/the/user")
    over_ssh = private("git@git.example.com:shop/env.git", tmp_path)._environ
    assert over_ssh["GIT_SSH_COMMAND"] == "/of/the/user/GIT_SSH_COMMAND"
    assert over_ssh["HOME"] == "/of/the/user", "for ~ in that command"
    over_https = private("https://git.example.com/env.git", tmp_path, ca_file="/ca.pem")
    assert over_https._environ["GIT_SSL_CAINFO"] == "/of/the/user/GIT_SSL_CAINFO"
    assert over_https._environ["HOME"] == str(tmp_path), "no .netrc, no .gitconfig"
    assert "http.sslCAInfo=/ca.pem" in over_https._options
    monkeypatch.delenv("GIT_SSH_COMMAND")
    assert "BatchMode=yes" in private("ssh://git@git.example.com/env.git", tmp_path)._environ["GIT_SSH_COMMAND"]


@pytest.mark.processes
@pytest.mark.parametrize("name", ["SSH_ASKPASS", "GIT_ASKPASS"])
def test_e5_nobody_is_asked_for_a_password(
    answering: Callable[[type[BaseHTTPRequestHandler]], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    mark = tmp_path / "asked"
    monkeypatch.setenv(name, str(_script(tmp_path / "ask", mark)))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("DISPLAY", ":0")
    target = EnvRepoTarget(url=f"{answering(handler(200, lambda _: {}))}/env.git", overlay="o", image=IMAGE)
    with EnvRepo(target, {}) as repo, pytest.raises(GitError) as caught:
        repo.head()
    assert not mark.exists()
    assert "env_repo.username_env" in caught.value.hint


@pytest.mark.processes
@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"])
def test_e6_a_loopback_server_is_asked_without_a_proxy(
    answering: Callable[[type[BaseHTTPRequestHandler]], str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    seen: list[str] = []
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    target = EnvRepoTarget(url=f"{answering(handler(403, lambda _: {}, seen))}/env.git", overlay="o", image=IMAGE,
                           username_env="U", password_env="P")  # fmt: skip
    with EnvRepo(target, ENVIRON) as repo, pytest.raises(GitError):
        repo.head()
    assert len(seen) >= 2


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://git.example.com/env.git", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://git.example.com/env.git", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("https://git.example.com/env.git", {"https_proxy": "http://p:1", "no_proxy": "example.com"}, None),
        ("https://git.example.com/env.git", {"https_proxy": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://git.example.com/env.git", {"http_proxy": "http://p:1"}, None),
        ("https://10.1.2.3/env.git", {"https_proxy": "http://p:1", "no_proxy": "10.0.0.0/8"}, None),
    ],
)
def test_e6_git_follows_the_same_rule_of_proxies_as_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, environ: dict[str, str], proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    given = private(url, tmp_path)._environ
    assert {name: value for name, value in given.items() if name.lower().endswith("_proxy")} == (
        {"https_proxy": proxy} if proxy else {}
    )


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch x'", "--upload-pack=touch x", "-oProxyCommand=touch x", "fd::17", "http::ext::sh", "gopher://x/y",
        "HTTPS://x/y", "/srv/env.git", "env.git", "-x@host:path", "git@-oProxyCommand=x:path", "git@host:-path", "",
    ],
)  # fmt: skip
def test_a_url_that_git_would_take_for_a_command_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="is no URL of a git server"):
        private(url, tmp_path)


# -- what the answer to a push means ----------------------------------------------------------------------------------


def pushed(code: int, status: str = "", said: str = "") -> Done:
    line = f"{status.replace('|', chr(9))}\n" if status else ""
    return Done(code, f"To https://git.example.com/env.git\n{line}Done\n".encode(), said)


REF = "|aaaa:refs/heads/main|"


@pytest.mark.parametrize(
    ("done", "error"),
    [
        (pushed(0, f" {REF}1111111..2222222"), None),
        (pushed(0, f"={REF}[up to date]"), None),
        (pushed(1, f"!{REF}[rejected] (fetch first)"), RaceError),
        (pushed(1, f"!{REF}[rejected] (non-fast-forward)"), RaceError),
        (pushed(1, f"!{REF}[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)"), RaceError),
        (pushed(1, f"!{REF}[remote rejected] (failed to update ref)"), RaceError),
        (pushed(1, f"!{REF}[remote rejected] (pre-receive hook declined)", "remote: password"), PushRefusedError),
        (pushed(1, f"!{REF}[remote rejected] (protected branch hook declined)"), PushRefusedError),
        (pushed(1, f"!{REF}[remote failure] (remote failed to report status)"), PushUnansweredError),
        (pushed(128, said="fatal: unable to access 'x': The requested URL returned error: 403"), PushRefusedError),
        (pushed(128, said="fatal: Authentication failed for 'https://x/'"), PushRefusedError),
        (pushed(128, said="fatal: unable to access 'https://x/': Failed to connect to x port 443"), GitError),
        (pushed(128, said="fatal: unable to access 'https://x/': Could not resolve host: x"), GitError),
        (pushed(1, said="error: RPC failed; HTTP 502 curl 22 / fatal: the remote end hung up"), PushUnansweredError),
        (pushed(1, said="error: RPC failed; curl 52 Empty reply from server"), PushUnansweredError),
        (pushed(128, said="remote: fatal: unable to access / fatal: the remote end hung up"), PushUnansweredError),
        (pushed(128, said="Connection to git.example.com closed by remote host."), PushUnansweredError),
        (pushed(-9), PushUnansweredError),
    ],
)  # fmt: skip
def test_b1_what_is_no_answer_is_unknown_and_not_no(done: Done, error: type[GitError] | None) -> None:
    with pytest.raises(error) if error else nullcontext() as caught:
        check_push(done, url="https://git.example.com/env.git", branch="refs/heads/main", sure=False)
    assert caught is None or caught.type is error
    assert error is None or issubclass(error, UnansweredError) is (error is PushUnansweredError)


@pytest.mark.processes
def test_e13_a_hook_that_refuses_is_no_matter_of_passwords(server: Server) -> None:
    hook = server.bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\nprintf 'GH006: \\033[31mneeds review\\033[0m\\n##vso[task.complete]\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    with EnvRepo(server.target(), {}) as repo:
        repo.may_push()  # a dry run does not meet it
        with pytest.raises(PushRefusedError, match=r"refuses our commit.*needs review") as caught:
            release(repo)
    assert "password" not in caught.value.hint
    assert "hook" in caught.value.hint
    assert str(caught.value).isprintable()
