"""Names, ports and folders of the lab, shared by the platform, the workloads and the harness.

Must never hold behaviour: only values, and functions that compute a folder from the environment.
"""

from __future__ import annotations

import os
from pathlib import Path

CLUSTER = "rollproof-lab"
CONTEXT = f"kind-{CLUSTER}"
NETWORK = "rollproof-lab"
BRIDGE = "rollproof0"
CONTROL_PLANE = f"{CLUSTER}-control-plane"
WORKERS = (f"{CLUSTER}-worker", f"{CLUSTER}-worker2")
NODES = (CONTROL_PLANE, *WORKERS)

KUBERNETES_VERSIONS = ("1.37.2", "1.36.3", "1.35.4", "1.34.4")  # the default first; each has a module in lab/go
ARGOCD_VERSIONS = ("3.6.1", "3.5.7", "3.4.13", "3.3.19", "3.2.6", "3.1.16", "3.0.23", "2.14.21")  # likewise
# the default first: our own controller, or Traefik, which lab/go then builds; the app's entry is an Ingress, or in the
# last one an HTTPRoute (Gateway API)
INGRESSES = ("nginx", "traefik", "traefik-gateway")
INGRESS_PORT = 8080
GIT_PORT = 8090
REGISTRY_PORT = 8095
REGISTRY_NAME = "ghcr.io"  # as images name it; inside of the lab it is the lab's own (node/hosts.toml)
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"

SOURCES = Path(__file__).resolve().parent
REPOSITORY = SOURCES.parent


def state() -> Path:
    """The folder of the running lab; ``down`` removes all of it."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "rollproof" / "lab"


def cache() -> Path:
    """Build outputs, named by their content; they are kept when the lab or the clone is removed."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rollproof"


def kubeconfig() -> Path:
    """A separate file: the lab never writes to the user's kubeconfig."""
    return state() / "kubeconfig"


def credentials() -> Path:
    """KEY=value lines, mode 0600, written by the workloads."""
    return state() / "credentials.env"


def audit_log() -> Path:
    """The API server's audit log: the independent clock for drift figures."""
    return state() / "audit" / "audit.log"
