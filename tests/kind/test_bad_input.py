"""Bad input on the real lab: one message that says what to do next, exit 2 or 3, and nothing touched at all.

The cases that only differ by the target file start side by side, because each is a look of a few seconds that changes
nothing. What needs no cluster is in tests/unit/test_bad_input.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lab_user import (
    APP,
    NAMESPACE,
    ROOT,
    TARGET,
    EnvRepo,
    await_right,
    branch_head,
    command,
    credentials,
    kubectl,
    patched,
    settle,
)  # fmt: skip
from website import elsewhere

SIDE_BY_SIDE = 3
WRONG_PASSWORD = "not-the-password-7f3a"
BASE_URL = 'base_url = "http://127.0.0.1:8080"'
APP_SECTION, REPO_SECTION, ARGO_SECTION = "[app]\n", "[env_repo]\n", "[argocd]\n"


@dataclass(frozen=True)
class Case:
    """What is wrong, and what a user must be told. A `change` is (old text, new text) of targets/lab.toml."""

    change: tuple[str, str] | None
    exit_code: int
    said: tuple[str, ...]
    words: tuple[str, ...] = ("zero-downtime",)
    environ: dict[str, str] = field(default_factory=dict)


CASES = {
    "wrong context": Case(
        ('context = "kind-rollproof-lab"', 'context = "kind-rollproof-lba"'), 2,
        ("there is no context 'kind-rollproof-lba' in", "kubectl config get-contexts"),
    ),
    "no such Deployment": Case(
        ('deployment = "angelpay"', 'deployment = "angelpya"'), 2,
        ("there is no Deployment 'angelpya' in namespace 'angelpay-dev'", "see [cluster]"),
    ),
    "no such Service": Case(
        ('service = "angelpay"', 'service = "angelpya"'), 2,
        ("there is no Service 'angelpya' in namespace 'angelpay-dev'", "see [cluster]"),
    ),
    "Application missing": Case(
        ('application = "angelpay-dev"', 'application = "angelpay-dve"'), 2,
        ("there is no Application 'angelpay-dve' in namespace 'argocd'", "see [argocd]"),
    ),
    "Application of another project": Case(
        (ARGO_SECTION, ARGO_SECTION + 'project = "payments"\n'), 2,
        ("belongs to project 'default', not to 'payments'", "argocd.project"),
    ),
    "Application of another namespace": Case(
        ('application = "angelpay-dev"', 'application = "angelpay-prod"'), 2,
        ("deploys to namespace 'angelpay-prod', but cluster.namespace is 'angelpay-dev'", "see [cluster]"),
    ),
    "another overlay": Case(
        ('overlay = "overlays/dev"', 'overlay = "overlays/prod"'), 2,
        ("follows 'overlays/dev', but env_repo.overlay is 'overlays/prod'", "see [env_repo]"),
    ),
    "another branch": Case(
        (REPO_SECTION, REPO_SECTION + 'branch = "mian"\n'), 2,
        ("there is no branch 'mian' of", "env_repo.branch is what Argo CD follows"),
    ),
    "env repo unreachable": Case(
        ("127.0.0.1:8090/env.git", "127.0.0.1:9/env.git"), 3,
        ("cannot fetch branch 'main' of http://127.0.0.1:9/env.git", "is the server up"),
    ),
    "no such env repo": Case(
        ("8090/env.git", "8090/nothing.git"), 3,
        ("cannot fetch branch 'main' of http://127.0.0.1:8090/nothing.git", "is the URL right"),
    ),
    "no push right": Case(
        None, 3, ("http://127.0.0.1:8090/env.git", "env_repo.username_env and password_env"),
        environ={"GIT_PASSWORD": WRONG_PASSWORD},
    ),
    "overlay without the image": Case(
        ("ghcr.io/angelpay/angelpay", "ghcr.io/angelpay/other"), 2,
        ("overlays/dev/kustomization.yaml has no image 'ghcr.io/angelpay/other'", "env_repo.image is"),
    ),
    "no image of that sha": Case(
        None, 2, ("127.0.0.1:8095 has no image angelpay/angelpay:0badbad", "is the sha right"),
        words=("zero-downtime", "--sha", "0badbad"),
    ),
    "base URL wrong": Case(
        (BASE_URL, 'base_url = "http://127.0.0.1:9"'), 3,
        ("http://127.0.0.1:9/health did not answer: connect.refused", "see app.base_url"),
    ),
    "Host header wrong": Case(
        ('host = "angelpay-dev.lab"', 'host = "nobody.lab"'), 2,
        ("http://127.0.0.1:8080/health answered 404", "see app.host and app.health_path"),
    ),
    "TLS to a plain port": Case(
        (BASE_URL, 'base_url = "https://127.0.0.1:8080"'), 2,
        ("https://127.0.0.1:8080/health: connect.tls", "see app.ca_file"),
    ),
    "TLS of an unknown authority": Case(
        (BASE_URL, 'base_url = "{self-signed}"'), 2, ("connect.tls", "self-signed certificate", "see app.ca_file"),
    ),
    "redirect": Case(
        (BASE_URL, 'base_url = "{redirecting}"'), 2,
        ("redirects to https://shop.example.com/health", "name the final address"),
    ),
    "health without the pointer": Case(
        (APP_SECTION, APP_SECTION + 'version_pointer = "/build/sha"\n'), 2,
        ("/health (HTTP 200): no /build/sha in the body", "see app.version_pointer"),
    ),
    "health that is no JSON": Case(
        (APP_SECTION, APP_SECTION + 'health_path = "/"\n'), 2, ("the body is not JSON", "see app.version_pointer")
    ),
    "ready without the pointer": Case(
        (APP_SECTION, APP_SECTION + 'database_pointer = "/db"\n'), 2,
        ("/ready (HTTP 200): no /db in the body", "see app.database_pointer"),
    ),
    "slow path wrong": Case(("/slow?ms=300", "/slwo"), 2, ("/slwo answered 404", "see app.slow_path")),
    "POST path wrong": Case(('"/echo"', '"/ehco"'), 2, ("/ehco answered 404", "see app.post_path")),
    "control probe away": Case(
        ('url = "http://127.0.0.1:8080/"', 'url = "http://127.0.0.1:9/"'), 3,
        ("http://127.0.0.1:9/ (the control probe) did not answer", "see control.url"),
    ),
    "no such ConfigMap": Case(
        ('configmap = "angelpay-config"', 'configmap = "angelpay-cfg"'), 2,
        ("there is no ConfigMap 'angelpay-cfg' in namespace 'angelpay-dev'", "see drift.configmap"),
        words=("drift",),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """What a user has after a refused command."""

    exit_code: int
    output: str
    left: tuple[str, ...]  # files below --reports

    def assert_is(self, exit_code: int, *said: str) -> None:
        for text in said:
            assert text in self.output
        assert self.exit_code == exit_code, self.output
        errors = [line for line in self.output.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self.output
        assert "Traceback" not in self.output
        for secret in (WRONG_PASSWORD, credentials()["GIT_PASSWORD"]):
            assert secret not in self.output
        assert self.left == ()


def refused(
    folder: Path, *words: str, change: tuple[str, str] | None = None, environ: dict[str, str] | None = None
) -> Refused:
    """`rollproof run` with a target that was changed in one place."""
    folder.mkdir()
    text = TARGET.read_text()
    if change is not None:
        assert change[0] in text, f"{change[0]!r} is not in {TARGET.name}"
        text = text.replace(*change, 1)
    (folder / "target.toml").write_text(text)
    reports = folder / "reports"
    done = subprocess.run(
        command("run", *words, "--target", str(folder / "target.toml"), "--reports", str(reports)), cwd=ROOT,
        env={**os.environ, **(environ or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
    )  # fmt: skip
    print(done.stdout, f"-> exit {done.returncode}", sep="")
    return Refused(done.returncode, done.stdout, tuple(str(path) for path in reports.rglob("*")))


def everything(env_repo: EnvRepo) -> dict[str, Any]:
    """All that a run could have touched: every ref of the env repo, the app's objects, the Application, the lock."""
    listed = json.loads(kubectl("-n", NAMESPACE, "get", "configmap,service,lease", "-o", "json"))["items"]
    deployment = json.loads(kubectl("-n", NAMESPACE, "get", "deployment", "angelpay", "-o", "json"))
    application = json.loads(kubectl("-n", "argocd", "get", "application", APP, "-o", "json"))
    return {
        "env repo": env_repo.git("ls-remote", "origin"),
        "Deployment": deployment["metadata"]["generation"],
        "Application": (application["spec"], application["metadata"].get("annotations"), application.get("operation")),
        **{f"{one['kind']} {one['metadata']['name']}": content(one) for one in listed},
    }


def content(item: dict[str, Any]) -> tuple[Any, ...]:
    """What somebody wrote into an object, without what the server counts."""
    metadata = item["metadata"]
    return metadata["uid"], metadata.get("labels"), metadata.get("annotations"), item.get("data"), item.get("spec")


def state(path: str) -> str:
    return kubectl("-n", "argocd", "get", "application", APP, "-o", f"jsonpath={path}")


@pytest.fixture(scope="module")
def watched_repo(tmp_path_factory: pytest.TempPathFactory) -> EnvRepo:
    return EnvRepo(tmp_path_factory.mktemp("repo") / "env")


@pytest.fixture
def _untouched(watched_repo: EnvRepo) -> Iterator[None]:
    """The test may break something; the tool must leave all as it found it."""
    settle(branch_head())
    before = everything(watched_repo)
    yield
    settle(branch_head())
    assert everything(watched_repo) == before


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key, in one file."""
    path = folder / "server.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(folder / "certificate.pem")]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (folder / "certificate.pem").read_text())
    return path


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, watched_repo: EnvRepo) -> dict[str, Refused]:
    """Every case, run to its end; nothing was touched by all of them together."""
    folder = tmp_path_factory.mktemp("cases")
    settle(branch_head())
    before = everything(watched_repo)
    with elsewhere() as redirecting, elsewhere(self_signed(folder)) as tls, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:

        def run(name: str) -> Refused:
            case = CASES[name]
            change = case.change
            if change is not None:
                new = change[1].replace("{redirecting}", redirecting).replace("{self-signed}", tls)
                change = (change[0], new)
            return refused(folder / name.replace(" ", "-"), *case.words, change=change, environ=case.environ)

        found = dict(zip(CASES, pool.map(run, CASES), strict=True))
    assert everything(watched_repo) == before
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_target_is_one_message(ended: dict[str, Refused], name: str) -> None:
    ended[name].assert_is(CASES[name].exit_code, *CASES[name].said)


@pytest.mark.usefixtures("_untouched")
class TestNotNow:
    """The request is right, but something about the lab is not: exit 3."""

    def test_another_run_holds_the_lock(self, tmp_path: Path) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "rollproof", "namespace": NAMESPACE},
            "spec": {
                "holderIdentity": "20260101T000000Z-drift on elsewhere (pid 1)", "leaseDurationSeconds": 60,
                "acquireTime": now, "renewTime": now,
            },
        }  # fmt: skip
        kubectl("create", "-f", "-", stdin=json.dumps(lease))
        try:
            ended = refused(tmp_path / "run", "zero-downtime")
            holder = kubectl("-n", NAMESPACE, "get", "lease", "rollproof", "-o", "jsonpath={.spec.holderIdentity}")
        finally:
            kubectl("-n", NAMESPACE, "delete", "lease", "rollproof")
        ended.assert_is(3, "another run holds this target: 20260101T000000Z-drift on elsewhere (pid 1)", "wait for it")
        assert holder == "20260101T000000Z-drift on elsewhere (pid 1)"

    def test_out_of_sync(self, tmp_path: Path) -> None:
        off = {"spec": {"syncPolicy": {"automated": {"selfHeal": False}}}}
        on = {"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}}
        before = kubectl("-n", NAMESPACE, "get", "service", "angelpay", "-o", "jsonpath={.metadata.labels.app}")
        drift = {"metadata": {"labels": {"app": "drifted"}}}
        back = {"metadata": {"labels": {"app": before}}}
        sync_what_is_there()
        with patched("application", APP, "argocd", off, on):
            await_compared()  # it knows by now that it must not heal
            with patched("service", "angelpay", NAMESPACE, drift, back):
                await_state("{.status.sync.status}", "OutOfSync")
                ended = refused(tmp_path / "run", "zero-downtime")
        await_state("{.status.sync.status}", "Synced")
        ended.assert_is(3, "Application 'angelpay-dev' in namespace 'argocd' is OutOfSync, not Synced", "kubectl")

    def test_in_the_middle_of_a_sync(self, tmp_path: Path) -> None:
        """A sync that waits for its turn, because the controller was told to look away."""
        skip = "argocd.argoproj.io/skip-reconcile"
        sync = {"initiatedBy": {"username": "colleague"}, "sync": {"revision": state("{.status.sync.revision}")}}
        begin = {"metadata": {"annotations": {skip: "true"}}}
        end = {"metadata": {"annotations": {skip: None}}, "operation": None}
        with patched("application", APP, "argocd", begin, end):
            kubectl("-n", "argocd", "patch", "application", APP, "--type=merge", "-p", json.dumps({"operation": sync}))
            ended = refused(tmp_path / "run", "zero-downtime")
            assert state("{.operation.initiatedBy.username}") == "colleague", (
                "the sync has ended before the tool looked"
            )
        ended.assert_is(3, "Application 'angelpay-dev' in namespace 'argocd' is in the middle of a sync", "wait for")

    def test_rights_are_missing(self, tmp_path: Path) -> None:
        """A user who may look at Deployments and nothing else."""
        with someone(tmp_path, "get,list,watch", "deployments.apps") as kubeconfig:
            change = ('kubeconfig = "$XDG_STATE_HOME/rollproof/lab/kubeconfig"', f'kubeconfig = "{kubeconfig}"')
            ended = refused(tmp_path / "run", "drift", change=change)
        token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
        ended.assert_is(
            3, "permissions are missing: ", "create leases.coordination.k8s.io in angelpay-dev",
            "patch configmaps in angelpay-dev", "get applications.argoproj.io in argocd", "`rollproof doctor`",
        )  # fmt: skip
        assert "list deployments" not in ended.output
        assert token not in ended.output


def sync_what_is_there() -> None:
    """A commit that changed nothing is Synced without a sync; without self-heal, too, the next drift gets one then."""
    revision, who = state("{.status.sync.revision}"), f"rollproof-test-{time.time_ns()}"
    operation = {"operation": {"initiatedBy": {"username": who}, "sync": {"revision": revision}}}
    kubectl("-n", "argocd", "patch", "application", APP, "--type=merge", "-p", json.dumps(operation))
    await_state("{.status.operationState.operation.initiatedBy.username}", who)
    await_state("{.status.operationState.phase}", "Succeeded")


def await_compared() -> None:
    """Until Argo CD has compared the Application as it is now: it takes the request away then."""
    request = "argocd.argoproj.io/refresh"
    kubectl("-n", "argocd", "annotate", "--overwrite", "application", APP, f"{request}=normal")
    await_state("{.metadata.annotations." + request.replace(".", r"\.") + "}", "")


def await_state(path: str, wanted: str, *, timeout_s: float = 180) -> None:
    deadline = time.monotonic() + timeout_s
    while (seen := state(path)) != wanted:
        assert time.monotonic() < deadline, f"{path} is {seen!r}, not {wanted!r}, after {timeout_s:g} s"
        time.sleep(0.2)


@contextlib.contextmanager
def someone(folder: Path, verbs: str, resource: str) -> Iterator[Path]:
    """A ServiceAccount with one right in the app's namespace; gives a kubeconfig that is logged in as it."""
    name = "rollproof-test-someone"
    kubectl("-n", NAMESPACE, "create", "serviceaccount", name)
    try:
        kubectl("-n", NAMESPACE, "create", "role", name, f"--verb={verbs}", f"--resource={resource}")
        kubectl("-n", NAMESPACE, "create", "rolebinding", name, f"--role={name}",
                f"--serviceaccount={NAMESPACE}:{name}")  # fmt: skip
        token = kubectl("-n", NAMESPACE, "create", "token", name, "--duration=10m").strip()
        config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        await_right(path, verbs.partition(",")[0], resource)
        yield path
    finally:
        for kind in ("rolebinding", "role", "serviceaccount"):
            kubectl("-n", NAMESPACE, "delete", kind, name, "--ignore-not-found")
