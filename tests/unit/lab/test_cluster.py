from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab import cluster, platform, settings
from lab.cluster import Mode
from lab.steps import LabError

TEXT = (settings.REPOSITORY / "kind-config.yaml").read_text(encoding="utf-8")
ARCHIVES = {"control-plane": Path("/c/one.tar"), "worker": Path("/c/two.tar")}


def _parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = YAML(typ="safe").load(text)
    return parsed


def test_the_file_as_it_is_publishes_on_the_loopback_only() -> None:
    nodes = _parse(TEXT)["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    published = {(m["listenAddress"], m["hostPort"], m["containerPort"]) for m in nodes[0]["extraPortMappings"]}
    assert published == {("127.0.0.1", 8080, 80), ("127.0.0.1", 8090, 30090)}


def test_the_built_mode_brings_its_own_nodes_network_and_images() -> None:
    config = _parse(cluster.kind_config(Mode("built"), TEXT, ARCHIVES))
    assert config["networking"]["disableDefaultCNI"] is True
    assert {node["image"] for node in config["nodes"]} == {platform.node_image().name}
    sources = [{m["hostPath"] for m in node["extraMounts"]} for node in config["nodes"]]
    assert ["/c/one.tar" in s for s in sources] == [True, False, False]
    assert ["/c/two.tar" in s for s in sources] == [False, True, True]
    assert config["nodes"][0]["extraPortMappings"] == _parse(TEXT)["nodes"][0]["extraPortMappings"]


def test_the_public_mode_keeps_kinds_own_nodes_and_network() -> None:
    config = _parse(cluster.kind_config(Mode("public"), TEXT, {}))
    assert "disableDefaultCNI" not in config["networking"]
    assert not any("image" in node for node in config["nodes"])
    assert [_parse(patch)["kind"] for patch in config["kubeadmConfigPatches"]] == ["ClusterConfiguration"]


@pytest.mark.parametrize("mode", ["built", "public"])
def test_the_audit_log_is_on_and_kept_outside_the_node(mode: str) -> None:
    config = _parse(cluster.kind_config(Mode(mode), TEXT, ARCHIVES))
    api_server = _parse(config["kubeadmConfigPatches"][0])["apiServer"]
    folder = str(Path(api_server["extraArgs"]["audit-log-path"]).parent)
    mounts = {m["containerPath"]: m["hostPath"] for m in config["nodes"][0]["extraMounts"]}
    assert mounts[folder] == str(settings.audit_log().parent)
    assert Path(mounts["/etc/audit-policy.yaml"]).parent == settings.state()


@pytest.mark.parametrize(
    ("old", "new"), [("name: rollproof-lab", "name: mine"), ("- role: worker\n- role: worker", "- role: worker")]
)
def test_a_file_that_lost_what_the_lab_stands_on_is_refused(old: str, new: str) -> None:
    with pytest.raises(LabError, match="kind-config"):
        cluster.kind_config(Mode("built"), TEXT.replace(old, new), ARCHIVES)
