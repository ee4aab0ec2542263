"""The API server that the conformance list is checked against: the sandbox's, or with `--against lab` the lab's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollproof.clients.kube import Kube
from rollproof.target.file import load
from rollproof_sandbox.api.kubeconfig import write_kubeconfig
from rollproof_sandbox.api.server import ApiServer
from rollproof_sandbox.api.store import Store
from rollproof_sandbox.settings import ApiServer as Settings
from tests.conformance.listing import NAMESPACE

LAB = Path(__file__).parents[2] / "targets" / "lab.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--against", choices=("sandbox", "lab"), default="sandbox", help="the API server to check")


@pytest.fixture(scope="session")
def kube(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """The real client on the API server, with the list's own namespace, which is removed afterwards."""
    if request.config.getoption("--against", default="sandbox") == "lab":
        cluster = load(LAB).target.cluster
        yield from _with_namespace(Kube(cluster.context, cluster.kubeconfig))
        return
    server = ApiServer(Store(), Settings(), 0, "conformance-token")
    server.start()
    path = tmp_path_factory.mktemp("conformance") / "kubeconfig"
    write_kubeconfig(path, url=server.url, token="conformance-token")
    try:
        yield from _with_namespace(Kube("sandbox", str(path)))
    finally:
        server.stop()


def _with_namespace(kube: Kube) -> Iterator[Kube]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kube.request("POST", "/api/v1/namespaces", body=body)
    try:
        _await_account(kube)
        yield kube
    finally:
        kube.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def _await_account(kube: Kube) -> None:
    """Wait for the namespace's service account: a real server refuses pods without it."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
    deadline_s = time.monotonic() + 120
    while "sandbox" not in kube.version():
        if kube._send("GET", path, timeout_s=10, raise_status=False).status == 200:
            return
        assert time.monotonic() < deadline_s, "the namespace has no service account"
        time.sleep(0.1)
