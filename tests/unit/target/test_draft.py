"""The drafted target file: it loads whatever the names are, fences itself, and says what a person has to look at."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollproof.core.survey import Survey
from rollproof.errors import InputError
from rollproof.run import init
from rollproof.target.draft import Given, draft
from rollproof.target.file import load
from rollproof.target.schema import schema_text

FOUND = Survey(
    argocd_namespace="argocd", application="shop", project="web", repo_url="https://git.example.com/env.git",
    branch="main", overlay="overlays/dev", namespace="store", deployment="web", service="web",
    image="registry.example.com/shop/web", tags=("1a2b3c4", "0000002"), port=8080, host="shop.example.com", tls=True,
    live_path="/live", ready_path="/ready", ingress_namespace="ingress-nginx", ingress_selector="app=ingress",
    notes=("the Application follows HEAD",),
)  # fmt: skip


def test_it_loads_and_fences_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_USERNAME", "somebody")
    monkeypatch.setenv("GIT_PASSWORD", "a-long-pass-phrase")
    path = tmp_path / "shop.toml"
    path.write_text(draft(FOUND, Given(context="staging")))
    target = load(path).target
    assert target.fences.production
    assert target.fences.namespaces == ("store",)
    assert target.fences.load_hosts == ("shop.example.com",)
    assert target.app.base_url == "https://shop.example.com"
    assert (target.app.health_path, target.app.ready_path, target.app.pod_port) == ("/live", "/ready", 8080)
    assert target.release.shas == ("1a2b3c4", "0000002")
    assert "To be looked at: the Application follows HEAD" in path.read_text()


def test_what_the_person_says_goes_before_what_the_cluster_says() -> None:
    given = Given(
        context="staging", base_url="http://127.0.0.1:8080", repo_url="git@example.com:env.git", env_file="a.env"
    )
    document = tomllib.loads(draft(FOUND, given))
    assert document["app"]["base_url"] == "http://127.0.0.1:8080"
    assert document["app"]["host"] == "shop.example.com"
    assert document["env_file"] == "a.env"
    assert "password_env" not in document["env_repo"], "ssh finds its own key"


def test_a_port_that_is_not_the_schemes_own_is_in_the_url_and_not_in_the_fence() -> None:
    document = tomllib.loads(draft(replace(FOUND, entry_port=8443), Given(context="x")))
    assert document["app"]["base_url"] == "https://shop.example.com:8443"
    assert document["fences"]["load_hosts"] == ["shop.example.com"]


@pytest.mark.parametrize(("live", "ready", "health"), [("", "/ready", "/health"), ("/up", "/up", "/health")])
def test_a_liveness_path_that_is_that_of_readiness_is_not_taken_for_the_version(
    live: str, ready: str, health: str
) -> None:
    found = replace(FOUND, live_path=live, ready_path=ready)
    assert tomllib.loads(draft(found, Given(context="x")))["app"]["health_path"] == health


@given(st.text(max_size=20), st.lists(st.text(max_size=12), max_size=3))
@settings(max_examples=40)
def test_any_name_is_quoted_so_that_it_is_read_back(name: str, notes: list[str]) -> None:
    text = name.encode("utf-8", "ignore").decode()  # TOML holds no lone surrogates, and no API object does
    lines = tuple(note.encode("utf-8", "ignore").decode() for note in notes)
    document = tomllib.loads(draft(replace(FOUND, deployment=text, notes=lines), Given(context=text)))
    assert document["cluster"]["deployment"] == text
    assert document["cluster"]["context"] == text


@pytest.fixture
def _a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "Kube", lambda *_: None)
    monkeypatch.setattr(init, "ask", lambda *_: FOUND)


@pytest.mark.usefixtures("_a_cluster")
def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "targets" / "shop.toml"
    assert init.write_target(Given(context="x"), "", "", path) == ([path, _schema(path)], list(FOUND.notes))
    before = path.read_text()
    with pytest.raises(InputError, match="is there already"):
        init.write_target(Given(context="y"), "", "", path)
    assert path.read_text() == before


@pytest.mark.usefixtures("_a_cluster")
def test_editors_find_the_schema_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    init.write_target(Given(context="x"), "", "", path)
    assert path.read_text().startswith(f"#:schema ./{_schema(path).name}\n")
    assert _schema(path).read_text() == schema_text()
    _schema(path).write_text("of another version")
    assert init.write_target(Given(context="x"), "", "", tmp_path / "other.toml")[0] == [tmp_path / "other.toml"]
    assert _schema(path).read_text() == "of another version"


@pytest.mark.usefixtures("_a_cluster")
@pytest.mark.parametrize("place", ["a-file/shop.toml", "a-file/below/shop.toml", "loop/shop.toml", "a-folder"])
def test_a_place_where_nothing_can_be_written_is_one_message(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError) as told:
        init.write_target(Given(context="x"), "", "", tmp_path / place)
    assert "--out" in told.value.hint


@pytest.mark.usefixtures("_a_cluster")
@pytest.mark.parametrize(
    "out", ["targets/shop.toml", "shop.toml", "../away/shop.toml", "linked/shop.toml", "a/../b/s.toml"]
)
@pytest.mark.parametrize("said", ["kube/config", "./kube/config", "../here/kube/config", "/etc/config", "~/config"])
def test_a_path_is_said_from_here_and_written_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str
) -> None:
    """`init --kubeconfig ./config` wrote `./config` into targets/shop.toml, which is targets/config there."""
    (tmp_path / "here/kube").mkdir(parents=True)
    (tmp_path / "far/deep").mkdir(parents=True)
    (tmp_path / "here/linked").symlink_to(tmp_path / "far/deep")
    monkeypatch.chdir(tmp_path / "here")
    Path("kube/config").touch()
    [path, *_], _ = init.write_target(Given(context="x", kubeconfig=said, env_file=said), "", "", Path(out))
    written = tomllib.loads(path.read_text())
    assert written["cluster"]["kubeconfig"] == written["env_file"]
    if said[0] in "/~":
        assert written["env_file"] == said
    else:
        assert (path.parent / written["env_file"]).samefile("kube/config")


def _schema(path: Path) -> Path:
    return path.with_name("target.schema.json")


@pytest.mark.parametrize("url", ["http://[::1", "https://[x]/", "http://a\u2100b.c"])
def test_a_base_url_that_is_none_is_a_message(url: str) -> None:
    with pytest.raises(InputError, match="is no URL"):
        draft(FOUND, Given(context="staging", base_url=url))
    assert "no credentials" in draft(FOUND, Given(context="staging", repo_url=f"git+{url}")), "git says what it is"
