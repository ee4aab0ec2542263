"""The lab's passwords: generated once, at random, and kept in one file that only its owner can read.

Must never put a value into an argument list, a log or a repr: processes and logs are read by others.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lab import registry, settings
from lab.steps import LabError

__all__ = ["Credentials", "ensure", "secret_objects"]

_NAMES = {"git_username": "pipeline", "registry_username": registry.USER}


@dataclass(frozen=True, slots=True)
class Credentials:
    """All secret values of the lab; in the file each field is a key in capitals."""

    git_username: str
    git_password: str = field(repr=False)
    database_root_password: str = field(repr=False)
    database_dev_password: str = field(repr=False)
    database_prod_password: str = field(repr=False)
    registry_username: str
    registry_password: str = field(repr=False)
    argocd_server_secretkey: str = field(repr=False)


def ensure(path: Path) -> Credentials:
    """Read the credentials, and generate those that the file lacks; existing ones are never changed."""
    known = _read(path)
    names = [each.name for each in fields(Credentials)]
    values = {name: known.get(name.upper()) or _new(name) for name in names}
    if any(name.upper() not in known for name in names):
        _write(path, {**known, **{name.upper(): value for name, value in values.items()}})
    return Credentials(**values)


def secret_objects(made: Credentials) -> list[dict[str, Any]]:
    """The cluster's Secrets as objects; only for kubectl's standard input."""
    user, password = made.registry_username, made.registry_password
    pull = json.dumps(registry.docker_config(settings.REGISTRY_NAME, user, password))
    objects = [
        _secret("git", "git-users", {"users": f"{made.git_username}:{made.git_password}\n"}),
        _secret("registry", "registry-user", {"username": user, "password": password}),
        _secret(
            "database",
            "mariadb",
            {
                "MARIADB_ROOT_PASSWORD": made.database_root_password,
                "ANGELPAY_DEV_PASSWORD": made.database_dev_password,
                "ANGELPAY_PROD_PASSWORD": made.database_prod_password,
            },
        ),
        # argocd-server would create the key, and without it the controller refuses every Application.
        _secret("argocd", "argocd-secret", {"server.secretkey": made.argocd_server_secretkey}),
    ]
    objects[-1]["metadata"]["labels"] = {
        "app.kubernetes.io/part-of": "argocd",
        "app.kubernetes.io/name": "argocd-secret",
    }
    for name, database in (("dev", made.database_dev_password), ("prod", made.database_prod_password)):
        namespace = f"angelpay-{name}"
        objects.append(_secret(namespace, "angelpay-secret", {"DB_USER": f"angelpay_{name}", "DB_PASS": database}))
        objects.append(
            _secret(namespace, "ghcr-pull-secret", {".dockerconfigjson": pull}, "kubernetes.io/dockerconfigjson")
        )
    return objects


def _secret(namespace: str, name: str, values: dict[str, str], kind: str = "Opaque") -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": kind,
        "data": data,
    }


def _new(name: str) -> str:
    # Letters and digits only: the values are used in SQL, shell and an ini file, and need no quoting there.
    return _NAMES.get(name) or secrets.token_hex(16)


def _read(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    pairs = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not found or not value:
            raise LabError(f"{path}, line {number}: expected NAME=value; remove the file and run `make lab-down lab`")
        pairs[name.strip()] = value.strip()
    return pairs


def _write(path: Path, pairs: dict[str, str]) -> None:
    """Write the file completely or not at all: a lab with some passwords lost cannot be used any more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write("# Made by the lab. Everything here is worthless outside of it.\n")
        out.writelines(f"{name}={value}\n" for name, value in pairs.items())
    unfinished.replace(path)
