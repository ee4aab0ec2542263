"""The images that ``--images public`` would pull, and those that are built here because there is no public one.

This mode has not run yet: there was no machine with access to a registry. Checked by its dry run only.
"""

from __future__ import annotations

import sys

from lab import plan, platform, workload_images, workloads
from lab.cluster import Mode

__all__ = ["KIND_NODE", "dry_run", "pulled"]

KIND_NODE = "docker.io/kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
"""What kind v0.33.0 uses when its configuration names no image: Kubernetes, CoreDNS, etcd and kind's pod network."""


def pulled(argocd: str) -> tuple[str, ...]:
    """Every image that comes from a registry in the public mode: by Docker the first, by the nodes the others."""
    return (
        KIND_NODE,
        platform.METRICS_IMAGE,
        workload_images.argocd_name(argocd),
        workload_images.REDIS_IMAGE,
        workload_images.DATABASE_IMAGE,
    )


def dry_run(mode: Mode) -> int:
    """Print images and steps, and do nothing."""
    lines = [f"images: {mode.name}"]
    if mode.built:
        built = (
            platform.node_image(mode.kubernetes),
            *platform.control_plane_images(mode.kubernetes),
            *workloads.images(mode),
        )
        lines += [f"  build {image.name}" for image in built]
    else:
        lines += [f"  pull  {name}" for name in pulled(mode.argocd)]
        lines += [f"  build {image.name}" for image in workloads.images(mode)]
    lines.append("steps:")
    lines += [f"  {step.name}" for step in plan.steps(mode)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
