"""A target file with mistakes is one message that names them all, with their places; a good one is a Target."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from examples import DEEP
from targettoml import target_toml

from rollproof.errors import TargetFileError
from rollproof.target.file import load, secret_values
from rollproof.target.schema import schema_text
from rollproof_sandbox.folder import default_folder

DATABASE = "[faults.database]\nkind = 'Deployment'\nnamespace = 'db'\nname = 'db'\n"
GOOD = target_toml(
    kubeconfig="", git_url="https://git.example.com/env.git", overlay="overlays/staging",
    base_url="https://shop.example.com", load_host="shop.example.com",
)  # fmt: skip
REPOSITORY = Path(__file__).resolve().parents[3]


def write(folder: Path, text: str) -> Path:
    path = folder / "target.toml"
    path.write_text(text)
    return path


def message(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(TargetFileError) as caught:
        load(write(folder, text), environ or {})
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_what_is_named_twice_is_one_mistake_each_and_no_secret_is_shown(tmp_path: Path) -> None:
    text = GOOD + '\n[drift]\ntrials = ["env", "image", "env"]\n[secrets]\nvalues_env = ["hunter2", "hunter2"]\n'
    said = message(tmp_path, text)
    assert "drift.trials" in said
    assert said.count("entries 1 and 3 are the same; name each once") == 1
    assert said.count("entries 1 and 2 are the same; name each once") == 1
    assert "hunter2" not in said


def test_a_good_file_becomes_a_target_with_defaults(tmp_path: Path) -> None:
    target = load(write(tmp_path, GOOD), {}).target
    assert target.cluster.namespace == "shop"
    assert target.app.health_path == "/health"
    assert target.fences.namespaces == ("shop",)


def test_the_rules_for_traffic_are_off_until_they_are_set(tmp_path: Path) -> None:
    off = load(write(tmp_path, GOOD), {}).target.traffic
    assert (off.outages_max, off.background_failures_per_million, off.p99_ms_max, off.longest_ms_max) == (
        None, 0.0, None, None,
    )  # fmt: skip
    rules = "downtime_budget_ms = 500\noutages_max = 3\nbackground_failures_per_million = 100\np99_ms_max = 250\n"
    on = load(write(tmp_path, f"{GOOD}[traffic]\n{rules}longest_ms_max = 2000\n"), {}).target.traffic
    assert (on.outages_max, on.background_failures_per_million, on.p99_ms_max, on.longest_ms_max) == (3, 100, 250, 2000)


def test_whole_numbers_are_good_where_a_number_is_wanted(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD + "[traffic]\nrate_per_s = 300\n"), {}).target.traffic.rate_per_s == 300.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[traffic]\nrate_per_sec = 5", ""), "traffic.rate_per_sec: unknown key; did you mean traffic.rate_per_s?"),
        (("[trafic]\nrate_per_s = 5", ""), "trafic: unknown key; did you mean traffic?"),
        (("[release]\nrate_per_s = 5", ""), "release.rate_per_s: unknown key; it belongs into [traffic]"),
        (('[traffic]\nrate_per_s = "5"', ""), 'traffic.rate_per_s: a number was expected, found "5"'),
        (("[drift]\nmust_heal = 1", ""), "drift.must_heal: true or false was expected, found 1"),
        (("[traffic]\nslow_concurrency = 2.5", ""), "traffic.slow_concurrency: a whole number was expected, found 2.5"),
        (("[release]\nmode = 5", ""), "release.mode: a text in quotes was expected, found 5"),
        (('[release]\nshas = "abc1234"', ""), 'release.shas: a list [...] was expected, found "abc1234"'),
        (("[traffic]\ntail_s = 2026-01-01", ""), "traffic.tail_s: a number was expected, found"),
        (("", 'service = "web"'), "cluster.service: missing, and it has no default"),
        (("", "[app]\nbase_url = \"https://shop.example.com\"\n"), "app: missing, and it has no default"),
        (('[release]\nmode = "psuh"', ""), "release.mode: 'psuh' is none of 'push', 'observe'; did you mean 'push'?"),
        (('[argocd2]', ""), "argocd2: unknown key; did you mean argocd?"),
        (('[drift]\ntrials = ["imgae"]', ""), "drift.trials: 'imgae' is none of"),
        (('[drift]\ntrials = ["delete-ingress"]', ""), "'delete-ingress' needs drift.delete_ingress = true"),
        (('[drift]\ntrials = ["delete-hpa"]', ""), "'delete-hpa' needs drift.delete_hpa = true"),
        (('[drift]\ntrials = ["delete-deployment"]', ""), "'delete-deployment' needs drift.delete_deployment = true"),
        (("[traffic]\nrate_per_s = -1", ""), "traffic.rate_per_s: must be above 0 and at most 10000, found -1"),
        (("[traffic]\nrate_per_s = nan", ""), "traffic.rate_per_s: must be above 0"),
        (("[traffic]\ntimeout_s = inf", ""), "traffic.timeout_s: must be above 0"),
        (("[traffic]\nmax_duration_s = 20", ""), "traffic.max_duration_s: must be above baseline"),
        (("[traffic]\noutages_max = 3", ""), "traffic.outages_max: needs traffic.downtime_budget_ms above 0"),
        (("[traffic]\noutages_max = 0\ndowntime_budget_ms = 9", ""), "traffic.outages_max: must be at least 1 and"),
        (("[traffic]\noutages_max = 2.5", ""), "traffic.outages_max: a whole number was expected, found 2.5"),
        (("[traffic]\np99_ms_max = 0", ""), "traffic.p99_ms_max: must be above 0 and at most 600000, found 0"),
        (("[traffic]\np99_ms_max = nan", ""), "traffic.p99_ms_max: must be above 0"),
        (('[traffic]\np99_ms_max = "5"', ""), 'traffic.p99_ms_max: a number was expected, found "5"'),
        (("[traffic]\nlongest_ms_max = 5000", ""), "traffic.longest_ms_max: must be below traffic.timeout_s (5000 ms)"),
        (("[traffic]\np99_ms_max = 7000", ""), "traffic.p99_ms_max: must be below traffic.timeout_s (5000 ms)"),
        (("[traffic]\nlongest_ms_max = inf", ""), "traffic.longest_ms_max: must be above 0"),
        (("[traffic]\nbackground_failures_per_million = -1", ""),
         "traffic.background_failures_per_million: must be at least 0 and at most 100000, found -1"),
        (("[traffic]\nbackground_failures = 5", ""), "did you mean traffic.background_failures_per_million?"),
        (("[release]\nshas = ['latest']", ""), "release.shas: 'latest' names no version"),
        (("[ingress]\nnamespace = 'ingress'", ""), "ingress.selector: namespace and selector go together"),
        ((f"{DATABASE}account = \"shop'; DROP\"", ""), "faults.database.account: may have letters, digits and"),
        ((f"{DATABASE}admin = 'root; reboot'", ""), "faults.database.admin: may have letters, digits and"),
        ((f"{DATABASE}admin_password_variable = 'sesame street'", ""), "must be the name of a variable of"),
        (("[control]\nurl = 'https://other.example.com'", ""), "control.url: host 'other.example.com' is outside of"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_place(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    added, removed = change
    assert removed in GOOD
    assert expected in message(tmp_path, GOOD.replace(removed, "") + added + "\n")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('namespaces = ["shop"]', 'namespaces = ["other"]', "cluster.namespace: 'shop' is outside of"),
        ("https://shop.example.com", "ftp://shop.example.com", "app.base_url: must be an http:// or https:// URL"),
        ("https://shop.example.com", "https://bücher.example.com", "app.base_url: has a letter that is not ASCII"),
        ("[app]", '[app]\nhost = "bücher.example.com"', "app.host: has a letter that is not ASCII"),
        ("[app]", '[app]\nhost = "http://shop.example.com"', "app.host: must be a host, with its port if need be"),
        ("[app]", '[app]\nhost = "shop.example.com/x"', "app.host: must be a host"),
        ("[app]", '[app]\nhost = "shop.example.com\\r\\nX: y"', "app.host: must be a host"),
        ("[app]", '[app]\nhost = "u:hunter2@shop"', "found one that may hold a credential (not shown)"),
        ("[app]", '[control]\nurl = "http://127.0.0.1"\noff_entry_host = "a b"\n[app]', "control.off_entry_host: must"),
        ("[app]", '[app]\nversion_header = "X-App-Version:"', "app.version_header: must be the name of a header"),
        ("[app]", '[app]\nserved_by_header = "Served By"', "app.served_by_header: must be the name of a header"),
        ('name = "', 'name = "a\\nb', "name: has a line break"),
        ("[app]", '[app]\nhome_path = "/caché"', "app.home_path: has a letter that is not ASCII; write it as %C3%A9"),
        ("https://shop.example.com", "https://u:p@shop.example.com", "app.base_url: holds credentials"),
        ("https://shop.example.com", "https://evil.example.com", "app.base_url: host 'evil.example.com' is outside"),
        ("https://git.example.com", "https://u:sesame@git.example.com", "env_repo.url: holds a password"),
        ("https://git.example.com/env.git", "nonsense", "env_repo.url: must be a git URL"),
        ("overlays/staging", "../other", "env_repo.overlay: must be a path inside"),
        ('context = "staging"', 'context = ""', "cluster.context: must not be empty"),
        ("[argocd]", '[argocd]\nkubeconfig = "argo"', "argocd.context: must name the context of argocd.kubeconfig"),
    ],
)
def test_parts_must_agree(tmp_path: Path, old: str, new: str, expected: str) -> None:
    said = message(tmp_path, GOOD.replace(old, new))
    assert expected in said
    assert "sesame" not in said


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    said = message(tmp_path, GOOD.replace('service = "web"', "") + "[traffic]\nrate = 1\ntail_s = 'x'\n")
    assert "3 mistakes" in said
    for place in ("traffic.rate:", "traffic.tail_s:", "cluster.service:"):
        assert place in said


def test_broken_toml_and_missing_files_are_clear(tmp_path: Path) -> None:
    assert "is not TOML" in message(tmp_path, "name = ")
    with pytest.raises(TargetFileError, match="does not exist") as caught:
        load(tmp_path / "nothing.toml", {})
    assert "target.toml" in caught.value.hint


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    assert "knows schemas up to 1" in message(tmp_path, "schema = 2\n" + GOOD)


def test_secrets_come_by_name_and_the_environment_wins(tmp_path: Path) -> None:
    text = GOOD.replace("[app]", 'username_env = "GIT_USER"\npassword_env = "GIT_PASS"\n[app]')
    (tmp_path / "secrets.env").write_text("# ours\nGIT_USER=git\nexport GIT_PASS='from file'\n")
    loaded = load(write(tmp_path, 'env_file = "secrets.env"\n' + text), {"GIT_USER": "me"})
    assert loaded.environ["GIT_USER"] == "me"
    assert loaded.environ["GIT_PASS"] == "from file"
    assert secret_values(loaded) == ("from file",)


def test_a_missing_secret_is_named_but_a_value_never_shown(tmp_path: Path) -> None:
    text = GOOD.replace("[app]", 'password_env = "GIT_PASS"\n[app]')
    assert "env_repo.password_env: environment variable GIT_PASS is not set" in message(tmp_path, text)
    said = message(tmp_path, GOOD.replace("[app]", 'password_env = "p4ss w0rd!"\n[app]'))
    assert "must be the name of an environment variable" in said
    assert "p4ss" not in said


def test_a_bad_env_file_is_named_and_its_lines_are_not_shown(tmp_path: Path) -> None:
    text = 'env_file = "secrets.env"\n' + GOOD
    assert "cannot be read" in message(tmp_path, text)
    (tmp_path / "secrets.env").write_text("hunter2\n")
    said = message(tmp_path, text)
    assert "line 1 is not KEY=VALUE" in said
    assert "hunter2" not in said


def test_paths_are_absolute_and_know_the_state_folder(tmp_path: Path) -> None:
    text = GOOD.replace("[cluster]", '[cluster]\nkubeconfig = "$XDG_STATE_HOME/lab/kubeconfig"')
    target = load(write(tmp_path, text), {"XDG_STATE_HOME": "/state"}).target
    assert target.cluster.kubeconfig == "/state/lab/kubeconfig"
    assert load(write(tmp_path, text), {}).target.cluster.kubeconfig.endswith("/.local/state/lab/kubeconfig")
    assert "NOWHERE is not set" in message(tmp_path, text.replace("XDG_STATE_HOME", "NOWHERE"))
    relative = load(write(tmp_path, GOOD.replace("[app]", '[app]\nca_file = "ca.pem"')), {}).target
    assert relative.app.ca_file == str(tmp_path / "ca.pem")


@pytest.mark.parametrize("name", ["lab.toml", "lab-prod.toml", "lab-mounted.toml", "staging.example.toml"])
def test_the_targets_that_we_ship_are_good(name: str, tmp_path: Path) -> None:
    state = tmp_path / "rollproof" / "lab"
    state.mkdir(parents=True)
    (state / "credentials.env").write_text("")
    words = ["GIT_USERNAME", "GIT_PASSWORD", "REGISTRY_USERNAME", "REGISTRY_PASSWORD"]
    words += ["STAGING_GIT_USERNAME", "STAGING_GIT_TOKEN", "STAGING_GATE_TOKEN"]
    environ = {"XDG_STATE_HOME": str(tmp_path), **dict.fromkeys(words, "a-value-7c1")}
    assert load(REPOSITORY / "targets" / name, environ).target.name == name.removesuffix(".toml").removesuffix(
        ".example"
    )


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
def test_e15_a_byte_order_mark_at_the_begin_of_a_file_is_no_part_of_it(tmp_path: Path, mark: bytes) -> None:
    text = 'env_file = "secrets.env"\n' + GOOD.replace("[app]", 'password_env = "GIT_PASS"\n[app]')
    (tmp_path / "target.toml").write_bytes(mark + text.encode())
    (tmp_path / "secrets.env").write_bytes(mark + b"GIT_PASS=from-the-file\r\n")
    assert load(tmp_path / "target.toml", {}).environ["GIT_PASS"] == "from-the-file"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_e15_another_encoding_is_said_by_its_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "target.toml").write_bytes(f"# \xe9\n{GOOD}".encode(encoding))
    with pytest.raises(TargetFileError, match="cannot be read: it is not UTF-8") as caught:
        load(tmp_path / "target.toml", {})
    assert caught.value.hint == "save it as UTF-8 text"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("https://git.example.com/env.git", "ext::sh -c true", "env_repo.url: must be a git URL"),
        ("https://git.example.com/env.git", "--upload-pack=true", "env_repo.url: must be a git URL"),
        ("https://git.example.com/env.git", "http::ext::sh", "env_repo.url: must be a git URL"),
        ("https://git.example.com/env.git", "-x@host:path", "env_repo.url: must be a git URL"),
        ("https://git.example.com/env.git", "https://x/\\u0000", "env_repo.url: has a line break or another"),
        ("overlays/staging", "overlays/\\nstaging", "env_repo.overlay: has a line break or another"),
        ("[app]", 'branch = "refs/heads/main"\n[app]', "env_repo.branch: must be the branch's own name"),
        ("[app]", 'branch = "a..b"\n[app]', "env_repo.branch: cannot be a branch of git"),
        ("[app]", 'branch = "--upload-pack=x"\n[app]', "env_repo.branch: cannot be a branch of git"),
        ("[app]", 'branch = "a b"\n[app]', "env_repo.branch: cannot be a branch of git"),
        ("[app]", "timeout_s = 0\n[app]", "env_repo.timeout_s: must be at least 1"),
        ("[app]", 'author_name = ""\n[app]', "env_repo.author_name: must not be empty"),
    ],
)
def test_what_becomes_an_argument_of_git_is_checked(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert expected in message(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize("overlay", [".", "./", "./overlays/staging", "overlays/staging/"])
def test_e1_an_overlay_may_be_the_root_or_be_spelt_from_it(tmp_path: Path, overlay: str) -> None:
    assert load(write(tmp_path, GOOD.replace("overlays/staging", overlay)), {}).target.env_repo.overlay == overlay


def test_e9_a_user_without_a_home_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A uid without an entry in the list of users, and no HOME, as in many containers."""

    def nobody(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    (tmp_path / "target.toml").write_text(target_toml())
    with pytest.raises(TargetFileError, match="~ has no value here: set HOME"):
        load(tmp_path / "target.toml", {})


def test_e9_the_sandbox_has_a_folder_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    assert default_folder({}).name == "sandbox"


def _settings() -> list[str]:
    """Every setting of the target file as the schema has it, with its place."""
    schema = json.loads(schema_text())

    def below(node: Any, place: str) -> Iterator[str]:
        while "$ref" in node:
            node = schema["definitions"][node["$ref"].split("/")[-1]]
        for choice in node.get("anyOf", []):
            yield from below(choice, place)
        for name, one in node.get("properties", {}).items():
            deeper = list(below(one, f"{place}{name}."))
            yield from deeper or [f"{place}{name}"]

    return list(dict.fromkeys(below(schema, "")))


ODD = (
    "nan", "inf", "-inf", "-1", "1e308", "9223372036854775808", '""', r'"\u0000"', r'"a\nb"', r'"\u202e"', "[]", '[""]',
    r'["\u0000"]', r'{"\u0007" = 1}', "{}", "{a = 1}", "true", "1979-05-27", "07:32:00", '"$HOME"', '"~nobody/x"',
    '"${X"', '"/dev/zero"', '"%s{}"', f'"{"x" * 5000}"',
)  # fmt: skip


@pytest.mark.deep
@pytest.mark.parametrize("value", ODD, ids=lambda value: value[:20])
def test_whatever_a_setting_holds_is_a_mistake_with_its_place_or_good(tmp_path: Path, value: str) -> None:
    """A NUL in a path and a date for a table ended as "itself failed"; a line break went into requests and reports."""
    shift = ODD.index(value) % 8  # in `make test` each value for an eighth of the settings, of each value another one
    for place in _settings() if DEEP else _settings()[shift::8]:
        document = tomllib.loads(GOOD)
        *sections, name = place.split(".")
        table = document
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = tomllib.loads(f"x = {value}")["x"]
        path = write(tmp_path, toml_of(document))
        mistake, loaded = "", None
        try:
            loaded = load(path, {"HOME": "/home/me"})
        except TargetFileError as error:
            mistake = str(error)
        if loaded is None:
            assert (sections or [name])[0] in mistake, place
            continue
        said = json.dumps(asdict(loaded.target), default=str, ensure_ascii=False)
        assert said.isprintable(), place
        assert not re.search(r"\\[nrtbfu]", said), place


def toml_of(table: Mapping[str, Any], place: str = "") -> str:
    """TOML as this test needs it."""
    plain = {name: one for name, one in table.items() if not isinstance(one, dict)}
    lines = [f"{json.dumps(name)} = {_toml_value(one)}" for name, one in plain.items()]
    for name, one in table.items():
        if isinstance(one, dict):
            inner = f"{place}{json.dumps(name)}"
            lines += [f"[{inner}]", toml_of(one, f"{inner}.")]
    return "\n".join(lines)


def _toml_value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(("change", "expected"), [
    ('env_file = "a\\u0000b"', "env_file: has a line break or another character that cannot be printed"),
    ("[faults]\nrecovery_limits_s = 1979-05-27", "faults.recovery_limits_s"),
])  # fmt: skip
def test_what_ended_as_a_failure_of_ours(tmp_path: Path, change: str, expected: str) -> None:
    whole = f"{GOOD}\n{change}" if change.startswith("[") else f"{change}\n{GOOD}"
    assert expected in message(tmp_path, whole)
