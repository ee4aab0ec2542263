"""The images of the platform itself, as data: the kind node, Kubernetes, the pod network, DNS and metrics.

They have the names and tags that kubeadm and the manifests use. Must never name a workload (workload_images.py).
"""

from __future__ import annotations

from dataclasses import replace

from lab import gobuild, settings
from lab.images import BASE, Debian, File, Files, Image, Link, image_key

__all__ = [
    "ETCD_TAG",
    "LABNET_IMAGE",
    "METRICS_IMAGE",
    "control_plane_images",
    "debian_layers",
    "node_image",
    "worker_images",
]

LABNET_IMAGE = "docker.io/rollproof-lab/labnet:1"
ETCD_TAG = "3.7.3-0"
"""kubeadm is told this one: each release of it has a default of its own."""

METRICS_IMAGE = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"

_NODE_PACKAGES = Debian(
    (
        "bash", "conntrack", "containerd", "containernetworking-plugins", "curl", "ebtables", "ethtool", "iproute2",
        "ipset", "iptables", "jq", "kmod", "mount", "procps", "runc", "socat",
    ),
    BASE,
)  # fmt: skip

# kube-proxy runs the iptables of its own image.
_PROXY_PACKAGES = Debian(("conntrack", "iptables", "kmod"), BASE)


def debian_layers() -> list[Debian]:
    """The layers of packages, so that they can be built in parallel with Go."""
    return [BASE, _NODE_PACKAGES, _PROXY_PACKAGES]


def _kube(kubernetes: str) -> Files:
    names = ("apiserver", "controller-manager", "scheduler", "proxy")
    links = (Link(f"/usr/local/bin/kube-{name}", "kube") for name in names)
    return Files((File("/usr/local/bin/kube", gobuild.KUBE[kubernetes], mode=0o755), *links))


def node_image(kubernetes: str) -> Image:
    """The image of kind's nodes. Its tag is a hash of its content, so it cannot be mistaken for another."""
    node = settings.SOURCES / "node"
    files = Files(
        (
            File("/usr/local/bin/kube", gobuild.KUBE[kubernetes], mode=0o755),
            *(Link(f"/usr/bin/{name}", "/usr/local/bin/kube") for name in ("kubeadm", "kubectl", "kubelet")),
            File("/usr/local/sbin/bounded-runc", gobuild.BOUNDED_RUNC, mode=0o755),
            File("/usr/local/bin/entrypoint", node / "entrypoint", mode=0o755),
            File("/etc/containerd/config.toml", node / "containerd.toml"),
            File("/kind/version", f"v{kubernetes}\n".encode()),
        )
    )
    unnamed = Image("", (BASE, _NODE_PACKAGES, files), command=("/usr/local/bin/entrypoint",))
    return replace(unnamed, name=f"rollproof-lab/node:{image_key(unnamed)[:12]}")


def worker_images(kubernetes: str) -> tuple[Image, ...]:
    """The images that every node needs before the cluster exists."""
    pause = Files((File("/pause", gobuild.PAUSE, mode=0o755),))
    coredns = Files((File("/coredns", gobuild.COREDNS, mode=0o755),))
    labnet = Files((File("/labnet", gobuild.LABNET, mode=0o755),))
    return (
        Image("registry.k8s.io/pause:3.10.1", (pause,), command=("/pause",), user="65535:65535"),
        Image(f"registry.k8s.io/kube-proxy:v{kubernetes}", (BASE, _PROXY_PACKAGES, _kube(kubernetes))),
        Image("registry.k8s.io/coredns/coredns:v1.15.0", (coredns,), entrypoint=("/coredns",)),
        Image(LABNET_IMAGE, (BASE, labnet), command=("/labnet",)),
    )


def control_plane_images(kubernetes: str) -> tuple[Image, ...]:
    """The additional images of the control plane."""
    etcd = Files((File("/usr/local/bin/etcd", gobuild.ETCD, mode=0o755),))
    metrics = Files((File("/metrics-server", gobuild.METRICS_SERVER, mode=0o755),))
    servers = (
        Image(f"registry.k8s.io/kube-{name}:v{kubernetes}", (_kube(kubernetes),))
        for name in ("apiserver", "controller-manager", "scheduler")
    )
    return (
        *worker_images(kubernetes),
        *servers,
        Image(f"registry.k8s.io/etcd:{ETCD_TAG}", (etcd,)),
        Image(METRICS_IMAGE, (metrics,), entrypoint=("/metrics-server",)),
    )
