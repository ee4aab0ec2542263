"""The search for secrets over a whole target: which values are wanted, which places are read, what cannot be read."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import story
from recorder import ListRecorder

from rollproof.clients.kube import ApiError
from rollproof.core.event import Event
from rollproof.core.secretsearch import OBJECT_KINDS, Place
from rollproof.core.target import EnvRepo, SecretSettings
from rollproof.errors import CannotJudgeError, InputError
from rollproof.preflight.readings import READINGS
from rollproof.run.secrets import SecretsDrill

pytestmark = pytest.mark.processes

PASSWORD, TOKEN = "Kq-27xT/w9", "tok-77-abcdef"
LOGIN = {"auths": {"ghcr.io": {"username": "robot", "password": TOKEN, "auth": "cm9ib3Q6dG9r"}}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Kube:
    """Objects, logs and refusals, by kind."""

    def __init__(self) -> None:
        values = {"DB_USER": "shop", "DB_PASS": PASSWORD, "KEY": encoded("\x00")}
        self.secrets: dict[str, Mapping[str, str]] = {
            "shop-secret": {name: encoded(value) for name, value in values.items()},
            "pull": {".dockerconfigjson": encoded(json.dumps(LOGIN))},
        }
        status = {"containerStatuses": [{"name": "app", "restartCount": 1}]}
        self.objects: dict[str, list[dict[str, Any]]] = {
            "Pod": [{"metadata": {"name": name}, "status": status} for name in ("web-a", "stranger")]
        }
        self.logs = {False: "started", True: "stopped"}
        self.refused: tuple[str, ...] = ()
        self.read: list[tuple[str, bool]] = []

    def find(self, kind: str, _namespace: str, name: str) -> dict[str, Any] | None:
        if kind in self.refused:
            raise ApiError(f"get {kind}: 403 Forbidden", status=403)
        return {"kind": kind, "data": self.secrets[name]} if name in self.secrets else None

    def get(self, kind: str, _namespace: str, name: str) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": name}, "status": {"sync": {"status": "Synced"}}}

    def list(self, kind: str, _namespace: str) -> dict[str, Any]:
        if kind in self.refused:
            raise ApiError(f"list {kind}: 403 Forbidden", status=403)
        return {"items": self.objects.get(kind, [])}

    def list_if_served(self, kind: str, namespace: str) -> dict[str, Any]:
        return self.list(kind, namespace)

    def pod_log_end(self, _namespace: str, pod: str, _container: str, *, lines: int, previous: bool) -> str:
        assert lines
        self.read.append((pod, previous))
        if previous and not self.logs[True]:
            raise ApiError("previous terminated container not found", status=400)
        return self.logs[previous]


class Folder:
    """A run folder: where its files are, and its recorder."""

    def __init__(self, path: Path, recorder: ListRecorder) -> None:
        self.path, self.record = path, recorder.record


class World:
    """A target whose places hold what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.kube, self.recorder = Kube(), ListRecorder()
        self.settings = {"names": ("shop-secret/DB_PASS", "pull"), "placeholders": "base/secret.yaml"}
        self.form = "kind: Secret\nmetadata: {name: shop-secret}\nstringData: {DB_PASS: <password>, DB_USER: <user>}\n"
        self.environ: dict[str, str] = {}
        self.run = folder / "run"
        self.run.mkdir()
        (self.run / "timeline.jsonl").write_text("{}\n")
        self.repo = folder / "env"
        self.repo.mkdir()
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=self.repo, check=True)

    def commit(self, path: str, text: str) -> None:
        (self.repo / path).parent.mkdir(exist_ok=True)
        (self.repo / path).write_text(text)
        for words in (("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")):
            subprocess.run(["git", *words], cwd=self.repo, check=True)

    def search(self) -> dict[str, Event]:
        """The last fact about each place, by its name."""
        self.commit("base/secret.yaml" if self.form else "a.txt", self.form or "nothing")
        env_repo = EnvRepo(url=f"file://{self.repo}", overlay="o", image="i")
        target = story.target(secrets=SecretSettings(**self.settings), env_repo=env_repo)  # type: ignore[arg-type]
        argo = SimpleNamespace(kube=self.kube, namespace="argocd", application="shop")
        clients = SimpleNamespace(kube=self.kube, argo=argo)
        context = SimpleNamespace(
            target=target, clients=clients, environ=self.environ, status=lambda _: None,
            folder=Folder(self.run, self.recorder), watches=SimpleNamespace(pods=lambda: {"web-a": None}),
        )  # fmt: skip
        SecretsDrill(context).search_all()  # type: ignore[arg-type]
        return {event.subject.partition("/")[2]: event for event in self.recorder.events}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_sound_target(world: World) -> None:
    told = world.search()
    names = [name.partition("#")[0] for name in told["values"].data["names"]]
    login = "pull/.dockerconfigjson:ghcr.io"
    assert names == ["shop-secret/DB_PASS", f"{login}.password", f"{login}.auth"]
    assert told["values"].data["places"] == [place for place in Place if place is not Place.CI_LOG]
    for place in told["values"].data["places"]:
        data = told[place].data
        assert (data["found"], data["planted_found"], data["cut"]) == (0, data["planted"], ""), place
        assert data["planted"]
        assert (data["alike"], bool(data["alike_planted_found"])) == (0, True), place
    assert world.kube.read == [("web-a", False), ("web-a", True)]  # no pod of somebody else
    assert told["placeholders"].data["checked"] == 2


LEAKS = {
    "a ConfigMap": ("ConfigMap", {"data": {"url": f"x:{PASSWORD}"}}, Place.OBJECTS),
    "a pod's environment": ("Pod", {"spec": {"containers": [{"env": [{"value": TOKEN}]}]}}, Place.OBJECTS),
    "an annotation": ("Service", {"metadata": {"name": "s", "annotations": {"a": encoded(PASSWORD)}}}, Place.OBJECTS),
    "an event": ("Event", {"message": f"failed with {PASSWORD}"}, Place.EVENTS),
}


@pytest.mark.parametrize(("kind", "item", "place"), LEAKS.values(), ids=LEAKS)
def test_a_value_in(world: World, kind: str, item: dict[str, Any], place: Place) -> None:
    world.kube.objects[kind] = [{"metadata": {"name": "leaky"}, **item}]
    told = world.search()
    assert told[place].data["found"] == 1
    assert f"{kind}/" in told[place].data["hits"][0]
    assert [one for one in Place if one in told and told[one].data["found"]] == [place]


def test_a_value_in_the_log_of_ci(world: World, tmp_path: Path) -> None:
    log = tmp_path / "ci.log"
    log.write_text(f"docker login -p {TOKEN}\n")
    world.settings["ci_log_file"] = str(log)
    told = world.search()
    assert told[Place.CI_LOG].data["found"] == 1
    assert told[Place.CI_LOG].data["hits"][0].endswith(" in ci.log")


def test_a_log_of_ci_in_utf_16(world: World, tmp_path: Path) -> None:
    log = tmp_path / "ci.log"
    log.write_text(f"docker login -p {TOKEN}\n", encoding="utf-16")
    world.settings["ci_log_file"] = str(log)
    assert world.search()[Place.CI_LOG].data["found"] == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"), (b" \n", "is empty"), (b"PK\x03\x04xx", "is no text"),
        (gzip.compress(b"x", mtime=0), "is no text"),
        ("docker login".encode("utf-16-le"), "is no text"),
    ],
    ids=("empty", "blank", "zip", "gzip", "UTF-16 without a mark"),
)  # fmt: skip
def test_a_log_of_ci_in_which_nothing_could_be_found(world: World, tmp_path: Path, content: bytes, said: str) -> None:
    log = tmp_path / "ci.log"
    log.write_bytes(content)
    world.settings["ci_log_file"] = str(log)
    told = world.search()[Place.CI_LOG]
    assert told.what == "unreadable"
    assert said in told.data["reason"]


def test_a_log_of_ci_that_is_not_there(world: World, tmp_path: Path) -> None:
    """Exit 2 before anything is touched; if it went since then, that place is not known."""
    world.settings["ci_log_file"] = str(tmp_path / "none.log")
    settings = SecretSettings(**world.settings)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"ci_log_file .*none.log cannot be read: No such file"):
        READINGS["secrets"].check(story.target(secrets=settings), None, world.kube)  # type: ignore[arg-type]
    assert world.search()[Place.CI_LOG].what == "unreadable"


def test_a_value_that_this_run_has_written(world: World) -> None:
    (world.run / "plan.json").write_text(json.dumps({"x": encoded(PASSWORD)}))
    assert world.search()[Place.RUN].data["hits"][0].endswith(" in plan.json")


def test_what_looks_like_a_secret(world: World) -> None:
    """It is told by its kind, once however often it is there; a named value is told by its name alone."""
    key = "AK" + "IA" + "QWERTYUIOPASDFGH"
    world.kube.objects["ConfigMap"] = [{"metadata": {"name": "c"}, "data": {"a": key, "b": f"again {key}"}}]
    told = world.search()[Place.OBJECTS].data
    assert (told["alike"], told["found"]) == (1, 0)
    assert told["alike_hits"][0].startswith("AWS Access Key#")
    assert key not in json.dumps([event.data for event in world.recorder.events])


def test_without_patterns(world: World) -> None:
    world.settings["patterns"] = "off"
    assert "alike" not in world.search()[Place.OBJECTS].data


@pytest.mark.parametrize("previous", [False, True])
def test_a_value_in_a_log(world: World, previous: bool) -> None:
    world.kube.logs[previous] = f"line\nlogin with {PASSWORD}\n"
    (hit,) = world.search()[Place.LOGS].data["hits"]
    assert ("before its restart" in hit) is previous


def test_a_container_before_that_is_gone_has_no_log(world: World) -> None:
    world.kube.logs[True] = ""
    assert world.search()[Place.LOGS].data["texts"] == 1


def test_a_value_in_git(world: World) -> None:
    world.commit("b.txt", PASSWORD)
    (hit,) = world.search()[Place.GIT].data["hits"]
    assert hit.endswith("b.txt")


@pytest.mark.parametrize("kind", OBJECT_KINDS)
def test_a_value_in_any_kind_of_object(world: World, kind: str) -> None:
    found = {"metadata": {"name": "web", "annotations": {"note": f"is {PASSWORD}"}}}
    world.kube.objects = {**world.kube.objects, kind: [found, *world.kube.objects.get(kind, [])]}
    (hit,) = world.search()[Place.OBJECTS].data["hits"]
    assert f"{kind}/web" in hit


def test_what_may_not_be_read_is_told_and_the_rest_is_searched(world: World) -> None:
    world.kube.refused = ("Event", "Ingress")
    told = world.search()
    assert [place for place in Place if place in told and told[place].what == "unreadable"] == [
        Place.OBJECTS,
        Place.EVENTS,
    ]
    assert "403" in told[Place.EVENTS].data["reason"]


def test_without_the_right_to_read_secrets(world: World) -> None:
    world.settings = {"names": (), "values_env": ("CANARY",)}  # type: ignore[dict-item]
    world.environ = {"CANARY": "canary-1122334455"}
    world.kube.logs[False] = "canary-1122334455"
    told = world.search()
    assert told["values"].data["names"][0].startswith("CANARY#")
    assert told[Place.LOGS].data["found"] == 1
    assert "placeholders" not in told


@pytest.mark.parametrize(
    ("form", "hits", "reason"),
    [
        ("kind: Secret\nmetadata: {name: shop-secret}\nstringData: {DB_USER: shop}\n", ["shop-secret/DB_USER"], ""),
        ("a: [", [], "base/secret.yaml is no YAML"),
        ("", [], "no regular file base/secret.yaml"),
    ],
)
def test_placeholders(world: World, form: str, hits: list[str], reason: str) -> None:
    world.form = form
    told = world.search()["placeholders"].data
    assert told["hits"] == hits
    assert reason in told["reason"]


class TestPreflight:
    reading = READINGS["secrets"]

    def test_without_a_value_the_drill_is_skipped(self) -> None:
        assert "secrets.names" in self.reading.skipped(story.target())
        assert self.reading.skipped(story.target(secrets=SecretSettings(values_env=("A",)))) == ""

    def test_only_the_named_secrets_may_be_needed_and_the_rest_is_optional(self) -> None:
        target = story.target(secrets=SecretSettings(names=("a/X", "a/Y", "b")))
        needed = [one for one in self.reading.permissions(target) if one.required]
        assert [(str(one), one.name) for one in needed] == [("get secrets in shop", "a"), ("get secrets in shop", "b")]
        canary = story.target(secrets=SecretSettings(values_env=("A",)))
        assert [one for one in self.reading.permissions(canary) if one.required] == []

    def test_the_plan_says_what_is_read(self) -> None:
        target = story.target(secrets=SecretSettings(names=("a/X",)))
        assert [place for place, _ in self.reading.reads(target)] == [
            "Secret/shop/a", "file:///nowhere", "namespace shop", "Application/argocd/shop"
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("names", "said"),
        [(("nope",), "no Secret 'nope' in namespace 'shop'"), (("pull", "shop-secret/NOPE"), "has no key 'NOPE'")],
    )
    def test_a_name_of_nothing_is_a_mistake(self, names: tuple[str, ...], said: str) -> None:
        with pytest.raises(InputError, match=said):
            self.check(Kube(), *names)

    def test_what_may_not_be_read_names_the_way_out(self) -> None:
        kube = Kube()
        kube.refused = ("Secret",)
        with pytest.raises(CannotJudgeError, match="403") as caught:
            self.check(kube, "pull")
        assert "secrets.values_env" in caught.value.hint

    def test_what_is_there(self) -> None:
        assert self.check(Kube(), "shop-secret/DB_PASS", "pull") == "4 values in 2 Secrets, 0 in variables"

    def check(self, kube: Kube, *names: str) -> str:
        return self.reading.check(story.target(secrets=SecretSettings(names=names)), None, kube)  # type: ignore[arg-type]
