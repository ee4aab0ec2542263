"""The lab's two target files as a user meets them: what doctor says, what an HPA owns, pods by port-forward only."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_user import CONTEXT, NAMESPACE, ROOT, STATE, TARGET, Tool, await_right, kubectl

USER = "rollproof-test-no-proxy"


def test_doctor_finds_nothing_wrong_with_the_lab(tool: Tool) -> None:
    ended = tool.run("doctor", "--target", str(TARGET))
    lines = ended.output.splitlines()
    if busy := [at for at, line in enumerate(lines) if "quiet enough" in line and line.split()[0] != "ok"]:
        del lines[busy[0] + 1]  # what to do about it
        lines[busy[0]], lines[-1] = "ok quiet enough is this machine's, and not the lab's", "a drill can run"
    assert ended.exit_code == (3 if busy else 0)
    assert lines[-1] == "a drill can run"
    odd = [line for line in lines[:-1] if line.split()[0] != "ok"]
    assert [line for line in odd if "heal count" not in line] == []  # a note where a test pushed no new manifest
    for question in (
        "Kubernetes API",
        "permission on pods/proxy",
        "Application",
        "self-heal",
        "push",
        "app",
        "quiet enough",
    ):
        assert any(question in line for line in lines), question


def test_replicas_that_an_hpa_owns_are_skipped_and_that_is_no_pass(tool: Tool) -> None:
    tool.target = ROOT / "targets/lab-prod.toml"
    ended = tool.sound_drill("drift", "--trial", "replicas")
    assert ended.exit_code == 3, ended.output
    assert ended.result("drift") == {"SKIPPED"}
    assert ended.why("drift") == "replicas belong to the HorizontalPodAutoscaler angelpay"
    assert ended.result("harness") == {"INCONCLUSIVE"}
    assert "nothing was judged" in ended.why("harness")
    assert tool.find_fact("drift", "injected") is None


@pytest.mark.usefixtures("env_repo")  # puts back what the release leaves
def test_without_pods_proxy_single_pods_are_proven_by_port_forward(
    tool: Tool, derived_target: Callable[..., Path], tmp_path: Path
) -> None:
    """Argo CD is asked as the lab's admin, the app's namespace as somebody who may not use pods/proxy."""
    with _without_proxy(tmp_path) as kubeconfig:
        tool.target = derived_target(
            user=('kubeconfig = "$XDG_STATE_HOME/rollproof/lab/kubeconfig"', f'kubeconfig = "{kubeconfig}"'),
            argocd=("[argocd]\n", f'[argocd]\ncontext = "{CONTEXT}"\nkubeconfig = "{STATE}/kubeconfig"\n'),
        )
        ended = tool.sound_drill("release")
    assert ended.exit_code == 0, ended.output
    assert ended.result("version") == {"PASS"}
    assert ended.folder is not None
    facts = [json.loads(line) for line in (ended.folder / "timeline.jsonl").read_text().splitlines()]
    asked = [fact for fact in facts if fact["source"] == "proof" and fact["subject"].startswith("Pod/")]
    assert {fact["data"]["via"] for fact in asked} == {"port-forward"}
    assert {fact["outcome"] for fact in asked if fact["what"] == "version"} == {"ok"}


@contextlib.contextmanager
def _without_proxy(folder: Path) -> Iterator[Path]:
    """A kubeconfig of somebody who may do all that a deploy needs in the app's namespace, but not pods/proxy."""

    def rule(group: str, resources: str, verbs: str) -> dict[str, Any]:
        return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}

    rules = [
        rule("apps", "deployments replicasets", "get list watch"), rule("", "pods", "get list watch"),
        rule("discovery.k8s.io", "endpointslices", "list watch"), rule("", "services", "get"),
        rule("coordination.k8s.io", "leases", "get create update patch delete watch"),
        rule("", "pods/portforward", "get create"),  # the websocket is a GET
    ]  # fmt: skip
    meta = {"name": USER, "namespace": NAMESPACE}
    access = "rbac.authorization.k8s.io"
    items: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": f"{access}/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {
            "apiVersion": f"{access}/v1", "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": access, "kind": "Role", "name": USER},
            "subjects": [{"kind": "ServiceAccount", "name": USER, "namespace": NAMESPACE}],
        },
    ]  # fmt: skip
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("create", "-f", "-", stdin=given)
    try:
        token = kubectl("-n", NAMESPACE, "create", "token", USER, "--duration=30m").strip()
        config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token}
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        await_right(path, "watch", "leases.coordination.k8s.io")
        yield path
    finally:
        kubectl("delete", "--ignore-not-found", "-f", "-", stdin=given)
