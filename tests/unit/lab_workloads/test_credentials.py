"""Passwords: made once, readable by their owner alone, in no repr and no log."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lab import credentials
from lab.steps import LabError


def test_they_are_made_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "credentials.env"
    made = credentials.ensure(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert credentials.ensure(path) == made
    assert f"GIT_PASSWORD={made.git_password}" in path.read_text(encoding="utf-8")


def test_two_labs_share_no_password(tmp_path: Path) -> None:
    one, other = credentials.ensure(tmp_path / "one"), credentials.ensure(tmp_path / "other")
    assert one.git_password != other.git_password
    assert one.argocd_server_secretkey != other.argocd_server_secretkey


def test_what_an_older_file_lacks_is_added_and_what_it_has_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "credentials.env"
    path.write_text("GIT_USERNAME=old\nGIT_PASSWORD=kept\nTHEIRS=too\n", encoding="utf-8")
    made = credentials.ensure(path)
    assert (made.git_username, made.git_password) == ("old", "kept")
    assert "THEIRS=too" in path.read_text(encoding="utf-8")
    assert credentials.ensure(path) == made


def test_a_broken_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "credentials.env"
    path.write_text("GIT_USERNAME=pipeline\nGIT_PASSWORD\n", encoding="utf-8")
    with pytest.raises(LabError, match="line 2: expected NAME=value"):
        credentials.ensure(path)


def test_no_value_shows_up_in_a_repr(tmp_path: Path) -> None:
    made = credentials.ensure(tmp_path / "credentials.env")
    assert made.git_password not in repr(made)
    assert made.database_root_password not in repr(made)


def test_the_app_gets_its_own_database_user_and_nothing_of_the_other(tmp_path: Path) -> None:
    made = credentials.ensure(tmp_path / "credentials.env")
    secrets = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each for each in credentials.secret_objects(made)
    }
    dev = secrets["angelpay-dev", "angelpay-secret"]["data"]
    assert base64.b64decode(dev["DB_USER"]) == b"angelpay_dev"
    assert base64.b64decode(dev["DB_PASS"]).decode() == made.database_dev_password
    assert secrets["angelpay-prod", "angelpay-secret"]["data"]["DB_PASS"] != dev["DB_PASS"]


def test_argo_cd_finds_its_key_and_the_kubelet_its_registry_login(tmp_path: Path) -> None:
    secrets = {
        each["metadata"]["name"]: each for each in credentials.secret_objects(credentials.ensure(tmp_path / "c"))
    }
    assert secrets["argocd-secret"]["metadata"]["labels"]["app.kubernetes.io/part-of"] == "argocd"
    assert secrets["argocd-secret"]["data"]["server.secretkey"]
    pull = secrets["ghcr-pull-secret"]
    assert pull["type"] == "kubernetes.io/dockerconfigjson"
    login = json.loads(base64.b64decode(pull["data"][".dockerconfigjson"]))["auths"]["ghcr.io"]
    server = {name: base64.b64decode(value).decode() for name, value in secrets["registry-user"]["data"].items()}
    assert {name: login[name] for name in ("username", "password")} == server
    assert base64.b64decode(login["auth"]).decode() == f"{server['username']}:{server['password']}"
