"""What a target file and its environment may hold as a secret, and that no refusal repeats one."""

from __future__ import annotations

from pathlib import Path

import pytest
from targettoml import target_toml

from rollproof.errors import TargetFileError
from rollproof.redaction import REDACTED, SECRETS
from rollproof.target.file import load

TOKEN = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
CANARY = "c4nary-5ecret-value"


def with_secret(folder: Path) -> Path:
    """A target whose git password, header and basic auth come from the environment."""
    text = target_toml().replace("[env_repo]\n", '[env_repo]\nusername_env = "U"\npassword_env = "GIT_PASSWORD"\n')
    text = text.replace(
        "[app]\n", '[app]\nheaders_env = { "X-Gate" = "GATE" }\nbasic_auth_env = ["U", "APP_PASSWORD"]\n'
    )
    path = folder / "target.toml"
    path.write_text(text)
    return path


def environ(**changed: str) -> dict[str, str]:
    return {
        "U": "shop-bot",
        "GIT_PASSWORD": "g1t-5ecret",
        "GATE": "g4te-5ecret",
        "APP_PASSWORD": "a99-5ecret",
        **changed,
    }


def refused(path: Path, variables: dict[str, str]) -> str:
    with pytest.raises(TargetFileError) as caught:
        load(path, variables)
    assert caught.value.exit_code == 2
    return f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "value",
    [
        "true", "main", "shop", "12345", "null", "release", "web", "overlays/dev", "staging", "http", "rollproof",
        "abc", "127.0.0.1", "False", "drift", "default", "registry.example.com", "healthy", "-1.5e3", "argocd",
        "kubeconfig",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["GIT_PASSWORD", "GATE", "APP_PASSWORD"])
def test_c3_a_secret_that_the_plan_or_the_facts_need_as_a_word_is_refused(
    tmp_path: Path, name: str, value: str
) -> None:
    said = refused(with_secret(tmp_path), environ(**{name: value}))
    assert name in said
    assert "cannot be" in said
    for word in said.replace(str(tmp_path), "").split():
        assert word.strip("'\"(),:;") != value


@pytest.mark.parametrize("value", ["demo", "hunter2", "p@ss word", "1234567890", "tr4e", "maintain", "releases!"])
def test_c3_an_ordinary_secret_is_taken_and_hidden(tmp_path: Path, value: str) -> None:
    load(with_secret(tmp_path), environ(GIT_PASSWORD=value))
    assert SECRETS.text(f"remote: {value} is wrong") == f"remote: {REDACTED} is wrong"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_c5_a_line_break_at_the_end_of_a_secret_is_taken_off(tmp_path: Path, end: str) -> None:
    loaded = load(with_secret(tmp_path), environ(GATE=CANARY + end, GIT_PASSWORD=CANARY + "2" + end))
    assert loaded.environ["GATE"] == CANARY
    assert loaded.environ["GIT_PASSWORD"] == f"{CANARY}2"


@pytest.mark.parametrize(
    "value",
    [f"{CANARY}\n{CANARY}", f"{CANARY}\r\nX-Other: 1", f"{CANARY}\x1b[2J", f"{CANARY}\u2028b", f"{CANARY}\udcf6"],
)
@pytest.mark.parametrize("name", ["GIT_PASSWORD", "GATE", "APP_PASSWORD", "U"])
def test_c5_a_secret_that_cannot_be_sent_is_refused_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    said = refused(with_secret(tmp_path), environ(**{name: value}))
    assert "cannot be sent" in said
    assert CANARY not in said


def test_c5_a_header_that_is_not_ascii_is_refused_and_not_shown(tmp_path: Path) -> None:
    said = refused(with_secret(tmp_path), environ(GATE=f"{CANARY}ö"))
    assert "a header cannot carry" in said
    assert CANARY not in said
    load(with_secret(tmp_path), environ(APP_PASSWORD=f"{CANARY}ö"))  # base64 can
    path = with_secret(tmp_path)
    path.write_text(f'{path.read_text()}[pipeline.actions]\ntoken_env = "TOKEN"\n')
    said = refused(path, environ(TOKEN=f"{CANARY}ö"))
    assert "a header cannot carry" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    "url",
    [
        f"https://{TOKEN}@git.example.com/env.git", f"https://bot:{TOKEN}@git.example.com/env.git",
        f"https://{TOKEN}:x-oauth-basic@git.example.com/env.git", f"https://git.example.com/env.git?private_token={TOKEN}",
        f"https://git.example.com/env.git#{TOKEN}", f"http://{TOKEN}:@git.example.com/env.git",
        f"ssh://{TOKEN}@git.example.com/env.git", f"{TOKEN}@git.example.com:env.git", f"ftp://{TOKEN}@host/x",
        f"https//{TOKEN}@host/x", f"http://[{TOKEN}@host/x", f"//{TOKEN}@host/x",
    ],
)  # fmt: skip
def test_c6_a_credential_in_the_url_of_the_env_repo_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    path = tmp_path / "target.toml"
    path.write_text(target_toml(git_url=url))
    said = refused(path, {})
    assert "env_repo.url" in said
    assert TOKEN not in said


@pytest.mark.parametrize(
    "url", ["git@github.com:o/r.git", "ssh://git@github.com/o/r.git", "https://github.com/o/r.git"]
)
def test_c6_ordinary_urls_stay_good(tmp_path: Path, url: str) -> None:
    path = tmp_path / "target.toml"
    path.write_text(target_toml(git_url=url))
    assert load(path, {}).target.env_repo.url == url


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("env_repo", f'password_env = "{TOKEN}"'), ("env_repo", f'username_env = "{TOKEN}"'),
        ("env_repo", f'password_env = "{CANARY}"'), ("env_repo", 'password_env = "hunter2"'),
        ("env_repo", f'password_env = ["{TOKEN}"]'), ("env_repo", "password_env = 12345678901"),
        ("app", f'headers_env = {{ "X-Gate" = "{TOKEN}" }}'),
        ("app", f'headers_env = {{ "X-Gate" = "Bearer {TOKEN}" }}'),
        ("app", f'headers_env = {{ "Bearer {TOKEN}" = "GATE" }}'), ("app", 'headers_env = { "X-Gate" = 12345678901 }'),
        ("app", f'headers_env = "{TOKEN}"'), ("app", f'headers_env = ["{TOKEN}"]'),
        ("app", f'basic_auth_env = ["U", "{TOKEN}"]'), ("app", f'basic_auth_env = "{TOKEN}"'),
        ("app", 'basic_auth_env = ["U", 12345678901]'), ("app", f'basic_auth_env = "U:{TOKEN}"'),
        ("app", f'health_path = "/health?token={TOKEN}"'), ("app", f'home_path = "https://x/?api_key={TOKEN}"'),
        ("app", f'base_url = "http://{TOKEN}@127.0.0.1"'), ("app", f'base_url = "127.0.0.1/?token={TOKEN}"'),
    ],
)  # fmt: skip
def test_c6_a_token_in_the_place_of_a_name_is_refused_and_not_repeated(tmp_path: Path, section: str, line: str) -> None:
    text = target_toml()
    key = line.partition(" ")[0]
    text = "\n".join(one for one in text.splitlines() if not one.startswith(f"{key} ")) + "\n"
    path = tmp_path / "target.toml"
    path.write_text(text.replace(f"[{section}]\n", f"[{section}]\n{line}\n"))
    said = refused(path, {"U": "bot"})
    assert key.removesuffix("_env") in said
    for secret in (TOKEN, CANARY, "hunter2", "12345678901"):
        assert secret not in said


def test_c6_a_token_that_is_the_name_of_a_user_is_hidden(tmp_path: Path) -> None:
    load(with_secret(tmp_path), environ(U=TOKEN))
    assert TOKEN not in SECRETS.text(f"remote: no such user {TOKEN}")
