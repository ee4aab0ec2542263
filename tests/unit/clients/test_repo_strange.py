"""EnvRepo on repositories as people have them: long histories, links, attributes, names of every kind."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from envserver import IMAGE, OVERLAY, Server, git, release
from served import served

from rollproof.clients.git import GitError
from rollproof.clients.repo import EnvRepo
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.errors import InputError

pytestmark = pytest.mark.processes


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


# -- history ----------------------------------------------------------------------------------------------------------


def test_d3_only_the_newest_commit_is_fetched_and_all_works_on_it(server: Server) -> None:
    for number in range(5):
        server.commit(f"{number}\n", f"more/{number}")
    with EnvRepo(server.target(), {}) as repo:
        before = repo.head()
        assert repo.git.text("rev-list", "--count", before) == "1"
        deployed = release(repo)
        server.commit("hello\n", "README.md")
        git(server.other, "checkout", "-q", "-b", "old", "HEAD~4")
        (server.other / "old").write_text("x")
        git(server.other, "add", ".")
        git(server.other, "commit", "-q", "-m", "begun before the clone")
        git(server.other, "checkout", "-q", "main")
        git(server.other, "merge", "-q", "--no-edit", "old")
        git(server.other, "push", "-q", "origin", "main")
        assert repo.is_ancestor(deployed.revision, repo.head())
        reverted = repo.push(
            lambda: repo.revert(deployed.revision, message="r"), repo.revert(deployed.revision, message="r")
        )
    assert reverted.forward is False
    assert server.text() == OVERLAY
    said = git(server.bare, "log", "-1", "--format=%B", "main")
    assert said == f'Revert "release bbbbbbb"\n\nThis reverts commit {deployed.revision}.'


def test_d3_who_changed_the_overlay_is_looked_for_in_the_newest_fifty(server: Server) -> None:
    for number in range(3):
        server.commit(f"{number}\n", f"more/{number}")
    with EnvRepo(server.target(), {}) as repo:
        repo.head()
        assert repo.who_changed().endswith("by dev: by somebody else")
        assert repo.git.text("rev-list", "--count", "refs/remotes/origin/main") == "4"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_d3_a_server_that_knows_no_shallow_clones_is_cloned_whole(server: Server) -> None:
    server.commit("hello\n", "README.md")
    git(server.bare, "repack", "-q", "-a", "-d")  # a copy has its first objects elsewhere
    (server.bare / "objects" / "info" / "alternates").unlink()
    git(server.bare, "update-server-info")
    files = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(server.bare.parent)))
    with served(files) as url, EnvRepo(server.target(url=f"{url}/env.git"), {}) as repo:
        assert repo.tag() == "aaaaaaa"
        assert repo.git.text("rev-list", "--count", repo.head()) == "2"


def test_d3_the_time_is_a_setting() -> None:
    assert EnvRepoTarget(url="file:///x", overlay="o", image="i", timeout_s=300.0).timeout_s == 300.0


# -- what a repository may hold ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("leads_to", ["../../../outside", "/etc/hostname", "other.yaml"])
def test_c2_a_kustomization_that_is_a_link_is_refused_and_nothing_is_written(
    server: Server, tmp_path: Path, leads_to: str
) -> None:
    outside = tmp_path / "server" / "outside"
    outside.write_text(OVERLAY)
    link = server.other / "overlays/dev/kustomization.yaml"
    link.unlink()
    link.symlink_to(leads_to)
    _push_all(server)
    with EnvRepo(server.target(), {}) as repo:
        with pytest.raises(InputError, match="is a symbolic link and no regular file"):
            repo.set_tag("bbbbbbb", expected="aaaaaaa", message="m")
        assert not [path for path in repo._folder.rglob("*") if path.is_symlink()]
    assert outside.read_text() == OVERLAY


def test_c2_a_folder_that_is_a_link_is_refused(server: Server) -> None:
    (server.other / "dev").symlink_to("overlays/dev")
    _push_all(server)
    with EnvRepo(server.target(overlay="dev"), {}) as repo, pytest.raises(InputError, match="dev is a symbolic link"):
        repo.tag()


def test_c2_nothing_of_the_repository_is_checked_out(server: Server) -> None:
    (server.other / ".gitattributes").write_text("* filter=evil eol=crlf ident\n*.yaml -diff merge=evil\n")
    (server.other / ".lfsconfig").write_text('[lfs]\n\turl = "http://127.0.0.1:9/"\n')
    (server.other / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::sh -c false\n')
    (server.other / "link").symlink_to("/etc")
    _push_all(server)
    with EnvRepo(server.target(), {}) as repo:
        deployed = release(repo)
        repo.push(lambda: repo.revert(deployed.revision, message="r"), repo.revert(deployed.revision, message="r"))
        names = {path.name for path in repo._folder.rglob("*")}
    assert not names & {".gitattributes", ".lfsconfig", "link", "kustomization.yaml"}
    assert server.text() == OVERLAY


@pytest.mark.parametrize("mode", ["100644", "100755"])
def test_a_files_mode_and_line_ends_are_kept(server: Server, mode: str) -> None:
    text = OVERLAY.replace("\n", "\r\n")
    path = server.other / "overlays/dev/kustomization.yaml"
    path.write_bytes(text.encode())
    path.chmod(int(mode, 8) & 0o777)
    _push_all(server)
    with EnvRepo(server.target(), {}) as repo:
        release(repo)
    assert server.text() == text.replace("aaaaaaa  # set", "bbbbbbb  # set")
    assert git(server.bare, "ls-tree", "main", "overlays/dev/kustomization.yaml").startswith(mode)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("images: []\n" + "#" * (30 << 20), "has .* bytes, and a kustomization of more than"),
        ("[" * 100_000, "nest"),
        ("images:\n- just text\n", "must be a list of maps"),
    ],
)
def test_d4_a_file_that_nobody_means_is_refused_before_it_is_parsed(server: Server, text: str, said: str) -> None:
    server.commit(text)
    with EnvRepo(server.target(), {}) as repo, pytest.raises(InputError, match=said):
        repo.tag()


@pytest.mark.parametrize("name", [".argocd-source.yaml", ".argocd-source-shop.yaml"])
def test_a9_an_override_in_git_is_refused_because_it_decides_what_runs(server: Server, name: str) -> None:
    server.commit("kustomize:\n  images:\n  - other:1\n", f"overlays/dev/{name}")
    with EnvRepo(server.target(), {}) as repo:
        repo.head()
        repo.check_overrides("shop")
        server.commit(f"kustomize:\n  images:\n  - {IMAGE}:abc\n", f"overlays/dev/{name}")
        repo.head()
        repo.check_overrides("shop-prod") if "shop" in name else None
        with pytest.raises(InputError, match=r"sets the image itself .*so that a tag in the overlay changes nothing"):
            repo.check_overrides("shop")


@pytest.mark.parametrize("overlay", [".", "./", "./.", ""])
def test_e1_an_overlay_at_the_root(server: Server, overlay: str) -> None:
    server.commit(OVERLAY, "kustomization.yaml")
    with EnvRepo(server.target(overlay=overlay), {}) as repo:
        assert release(repo).path == "kustomization.yaml"


@pytest.mark.parametrize("overlay", ["./overlays/dev", "overlays/dev/", "overlays//dev", "overlays/./dev"])
def test_e1_an_overlay_by_another_spelling(server: Server, overlay: str) -> None:
    with EnvRepo(server.target(overlay=overlay), {}) as repo:
        assert release(repo).path == "overlays/dev/kustomization.yaml"


@pytest.mark.parametrize("folder", ["-dev", ":(top)dev", "d*v", "d[e]v", "dév", 'd"v', "d v"])
def test_a_folder_of_any_name(server: Server, folder: str) -> None:
    server.commit(OVERLAY, f"{folder}/kustomization.yaml")
    with EnvRepo(server.target(overlay=folder), {}) as repo:
        assert release(repo).path == f"{folder}/kustomization.yaml"


@pytest.mark.parametrize("branch", ["-f", "--mirror", "v1", "feature/x", "@"])
def test_a_branch_of_any_name(server: Server, branch: str) -> None:
    git(server.bare, "update-ref", f"refs/heads/{branch}", "main")
    git(server.bare, "update-ref", f"refs/tags/{branch}", git(server.bare, "rev-parse", "main"))
    with EnvRepo(server.target(branch=branch), {}) as repo:
        pushed = release(repo)
    assert git(server.bare, "rev-parse", f"refs/heads/{branch}") == pushed.revision
    assert git(server.bare, "rev-parse", f"refs/tags/{branch}") != pushed.revision


@pytest.mark.parametrize("revision", ["--output=x", "HEAD", "main", "", "a b", "-1"])
def test_a_revision_from_a_record_is_never_an_option(server: Server, revision: str) -> None:
    with EnvRepo(server.target(), {}) as repo:
        repo.head()
        assert repo.is_ancestor(revision, "0" * 40) is False
        with pytest.raises(InputError, match="is no revision of git"):
            repo.revert(revision, message="m")


def _push_all(server: Server) -> None:
    git(server.other, "add", "-A")
    git(server.other, "commit", "-q", "-m", "by somebody else")
    git(server.other, "push", "-q", "origin", "main")


def test_a_repository_with_object_names_of_another_kind_is_named(tmp_path: Path) -> None:
    """Its hint was "is the URL right, is the server up?"."""
    git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "--initial-branch=main", "env.git")
    bare = tmp_path / "env.git"
    tree = git(bare, "mktree", stdin=b"")
    git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", tree, "-m", "x"))
    repo = EnvRepo(EnvRepoTarget(url=f"file://{bare}", overlay=".", image=IMAGE), {})
    with repo, pytest.raises(GitError, match="mismatched algorithms") as refused:
        repo.tag()
    assert "SHA-256" in refused.value.hint
