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
    assert published == {("127.0.0.1", 8080, 80), ("127.0.0.1", 8090, 30090), ("127.0.0.1", 8095, 30500)}


def test_the_built_mode_brings_its_own_nodes_network_and_images() -> None:
    config = _parse(cluster.kind_config(Mode("built"), TEXT, ARCHIVES))
    assert config["networking"]["disableDefaultCNI"] is True
    assert {node["image"] for node in config["nodes"]} == {platform.node_image(settings.KUBERNETES_VERSIONS[0]).name}
    sources = [{m["hostPath"] for m in node["extraMounts"]} for node in config["nodes"]]
    assert ["/c/one.tar" in s for s in sources] == [True, False, False]
    assert ["/c/two.tar" in s for s in sources] == [False, True, True]
    assert config["nodes"][0]["extraPortMappings"] == _parse(TEXT)["nodes"][0]["extraPortMappings"]


def test_the_public_mode_keeps_kinds_own_nodes_and_network() -> None:
    config = _parse(cluster.kind_config(Mode("public"), TEXT, {}))
    assert "disableDefaultCNI" not in config["networking"]
    assert not any("image" in node for node in config["nodes"])
    assert {_parse(patch)["kind"] for patch in config["kubeadmConfigPatches"]} == {"ClusterConfiguration"}


@pytest.mark.parametrize("mode", ["built", "public"])
def test_the_audit_log_is_on_and_kept_outside_the_node(mode: str) -> None:
    config = _parse(cluster.kind_config(Mode(mode), TEXT, ARCHIVES))
    patches = [_parse(patch) for patch in config["kubeadmConfigPatches"]]
    (mapped,) = [p["apiServer"]["extraArgs"] for p in patches if p.get("apiVersion") == "kubeadm.k8s.io/v1beta3"]
    (volumes,) = [p["apiServer"]["extraVolumes"] for p in patches if "extraVolumes" in p.get("apiServer", {})]
    (listed,) = config["kubeadmConfigPatchesJSON6902"]
    assert (listed["group"], listed["version"], listed["kind"]) == ("kubeadm.k8s.io", "v1beta4", "ClusterConfiguration")
    operations = _parse(listed["patch"])
    assert {(o["op"], o["path"]) for o in operations} == {("add", "/apiServer/extraArgs/-")}  # kind's own stay
    assert {o["value"]["name"]: o["value"]["value"] for o in operations} == mapped
    mounts = {m["containerPath"]: m["hostPath"] for m in config["nodes"][0]["extraMounts"]}
    inside = {v["mountPath"]: v["hostPath"] for v in volumes}
    assert mounts[inside[str(Path(mapped["audit-log-path"]).parent)]] == str(settings.audit_log().parent)
    assert Path(mounts[inside[mapped["audit-policy-file"]]]).parent == settings.state()


def test_kubeadm_asks_for_the_etcd_that_is_built() -> None:
    config = _parse(cluster.kind_config(Mode("built"), TEXT, ARCHIVES))
    patches = [_parse(patch) for patch in config["kubeadmConfigPatches"]]
    (tag,) = [patch["etcd"]["local"]["imageTag"] for patch in patches if "etcd" in patch]
    built = {image.name for image in platform.control_plane_images(settings.KUBERNETES_VERSIONS[0])}
    assert f"registry.k8s.io/etcd:{tag}" in built


def test_the_kubelet_starts_on_cgroup_v1() -> None:
    config = _parse(cluster.kind_config(Mode("built"), TEXT, ARCHIVES))
    (kubelet,) = [p for p in map(_parse, config["kubeadmConfigPatches"]) if p["kind"] == "KubeletConfiguration"]
    assert kubelet["failCgroupV1"] is False


def test_each_kubernetes_has_nodes_of_its_own() -> None:
    made = {cluster.kind_config(Mode("built", kubernetes=one), TEXT, ARCHIVES) for one in settings.KUBERNETES_VERSIONS}
    assert len(made) == len(settings.KUBERNETES_VERSIONS)


@pytest.mark.parametrize(
    ("old", "new"), [("name: rollproof-lab", "name: mine"), ("- role: worker\n- role: worker", "- role: worker")]
)
def test_a_file_that_lost_what_the_lab_stands_on_is_refused(old: str, new: str) -> None:
    with pytest.raises(LabError, match="kind-config"):
        cluster.kind_config(Mode("built"), TEXT.replace(old, new), ARCHIVES)
