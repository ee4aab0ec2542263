"""The content of the workloads' images, as data.

An image that exists upstream keeps its public name and start command, so that the manifests fit both sources. Layers
of packages are shared: a release of the app adds one small layer of files to those that all releases have in common.
"""

from __future__ import annotations

from pathlib import Path

from lab import apprepo, settings
from lab.gobuild import ARGOCD, KUSTOMIZE, REGISTRY, TRAEFIK
from lab.images import BASE, Debian, File, Files, Folder, Image, Link, tree

__all__ = [
    "APP_NAME",
    "ARGOCD_REPOSITORY",
    "DATABASE_IMAGE",
    "GIT_IMAGE",
    "INGRESS_IMAGE",
    "REDIS_IMAGE",
    "REGISTRY_IMAGE",
    "TOOLS_IMAGE",
    "TRAEFIK_IMAGE",
    "app_images",
    "argocd_name",
    "debian_layers",
    "platform_images",
    "tools",
]

APP_NAME = f"{settings.REGISTRY_NAME}/angelpay/angelpay"
ARGOCD_REPOSITORY = "quay.io/argoproj/argocd"
REDIS_IMAGE = "docker.io/library/redis:7-bookworm"
DATABASE_IMAGE = "docker.io/library/mariadb:10.11"
GIT_IMAGE = "docker.io/rollproof-lab/git:1"
REGISTRY_IMAGE = "docker.io/rollproof-lab/registry:1"
TOOLS_IMAGE = "docker.io/rollproof-lab/tools:1"
INGRESS_IMAGE = "docker.io/rollproof-lab/ingress:1"
TRAEFIK_IMAGE = "docker.io/rollproof-lab/traefik:3.7.13"

_ARGOCD_UID = 999

_WEB = Debian(("nginx", "python3-minimal"), BASE)
_APP = Debian(
    ("php8.2-cli", "php8.2-fpm", "php8.2-mysql", "supervisor", "cron"),
    _WEB,
    # pam_loginuid writes to the kernel's audit records, which a container may not: cron would run nothing.
    script="sed -i '/pam_loginuid/d' /etc/pam.d/cron\nrm -f /etc/cron.d/* /etc/cron.daily/*",
)
_INGRESS = Debian(("libnginx-mod-http-lua", "lua-resty-core", "lua-cjson", "python3"), _WEB)
_GIT = Debian(("git",), BASE)
_GIT_SERVER = Debian(("lighttpd",), _GIT)
_REDIS = Debian(("redis-server",), BASE)
# The package makes a data folder of 100 MB; the entrypoint makes its own.
_DATABASE = Debian(("mariadb-server",), BASE, script="rm -rf /var/lib/mysql/*")
_ACCOUNT = Debian(
    (), _GIT, script=f"useradd --system --uid {_ARGOCD_UID} --home-dir /home/argocd --shell /bin/sh argocd"
)

_APP_FOLDER = "/srv/angelpay"


def argocd_name(version: str) -> str:
    """Argo CD's image as upstream names it."""
    return f"{ARGOCD_REPOSITORY}:v{version}"


def platform_images(argocd: str, *, traefik: bool) -> tuple[Image, ...]:
    """The images beside the app, with this version of Argo CD and this ingress; for the control plane only."""
    entry = _traefik() if traefik else _ingress()
    return (_argocd(argocd), _redis(), _database(), _git_server(), _registry(), entry)


def debian_layers() -> tuple[Debian, ...]:
    """Every layer of packages, parents first: the slow part, which needs only a mirror."""
    return (_WEB, _APP, _INGRESS, _GIT, _GIT_SERVER, _REDIS, _DATABASE, _ACCOUNT)


def app_images(repository: Path, releases: dict[str, str], work: Path) -> tuple[Image, ...]:
    """One image for each release, from the files of its commit; ``work`` keeps them: layers name files by path."""
    return tuple(_app(repository, name, sha, work / sha) for name, sha in releases.items())


def tools() -> Image:
    """What pods of ours are made of in namespaces without a pull secret: a shell and python3, on the workers.

    Its layers are those that all releases share, so that a node that pulls one fetches its small layer alone.
    """
    return Image(TOOLS_IMAGE, (BASE, _WEB, _APP), command=("sh",))


def _app(repository: Path, name: str, sha: str, folder: Path) -> Image:
    folder.mkdir(parents=True, exist_ok=True)
    apprepo.export(repository, name, folder)
    files = Files(
        (
            *tree(folder, _APP_FOLDER, executable=("entrypoint",)),
            File(f"{_APP_FOLDER}/VERSION", f"{sha}\n".encode()),
            File("/etc/cron.d/angelpay", folder / "docker" / "crontab"),
        )
    )
    [recipe] = [one for one in apprepo.RELEASES if one.name == name]
    return Image(
        f"{APP_NAME}:{sha}",
        (BASE, _WEB, _APP, files),
        command=(f"{_APP_FOLDER}/docker/entrypoint",),
        architecture=recipe.architecture,
    )


def _ingress() -> Image:
    return Image(
        INGRESS_IMAGE,
        (BASE, _WEB, _INGRESS, Files(tree(settings.SOURCES / "ingress", "/etc/ingress"))),
        command=("nginx", "-c", "/etc/ingress/nginx.conf"),
        stop_signal="SIGQUIT",  # nginx ends the requests that it has begun
    )


def _traefik() -> Image:
    """The binary alone, as upstream's; it stands on the one Debian root, which every node has."""
    files = Files(
        (
            File("/usr/local/bin/traefik", TRAEFIK, mode=0o755),
            File("/etc/traefik/dynamic.yaml", settings.SOURCES / "traefik" / "dynamic.yaml"),
        )
    )
    return Image(TRAEFIK_IMAGE, (BASE, files), entrypoint=("traefik",))


def _git_server() -> Image:
    files = Files(
        (
            File("/etc/lab-git/lighttpd.conf", settings.SOURCES / "git" / "lighttpd.conf"),
            File("/usr/local/bin/lab-git", settings.SOURCES / "git" / "entrypoint", mode=0o755),
            Folder("/srv/git", uid=33, gid=33),
            Folder("/run/git", uid=33, gid=33),
            Folder("/var/empty"),
        )
    )
    return Image(GIT_IMAGE, (BASE, _GIT, _GIT_SERVER, files), command=("lab-git",))


def _registry() -> Image:
    files = Files(
        (
            File("/usr/local/bin/registry", REGISTRY, mode=0o755),
            File("/usr/local/bin/lab-registry", settings.SOURCES / "imageregistry" / "entrypoint", mode=0o755),
            Folder("/var/lib/registry", uid=33, gid=33),
            Folder("/run/registry", uid=33, gid=33),
        )
    )
    return Image(REGISTRY_IMAGE, (BASE, files), command=("lab-registry",))


def _database() -> Image:
    entrypoint = settings.SOURCES / "database" / "docker-entrypoint.sh"
    files = Files((File("/usr/local/bin/docker-entrypoint.sh", entrypoint, mode=0o755),))
    return Image(DATABASE_IMAGE, (BASE, _DATABASE, files), command=("docker-entrypoint.sh", "mariadbd"))


def _redis() -> Image:
    return Image(REDIS_IMAGE, (BASE, _REDIS), command=("redis-server",))


def _argocd(version: str) -> Image:
    """Upstream has one binary under many names; ours has the two that the lab uses."""
    wrapper = settings.SOURCES / "argocd" / "git-verify-wrapper.sh"
    files = Files(
        (
            File("/usr/local/bin/argocd", ARGOCD[version], mode=0o755),
            Link("/usr/local/bin/argocd-application-controller", "argocd"),
            Link("/usr/local/bin/argocd-repo-server", "argocd"),
            File("/usr/local/bin/kustomize", KUSTOMIZE, mode=0o755),
            File("/usr/local/bin/git-verify-wrapper.sh", wrapper, mode=0o755),
            Folder("/home/argocd", uid=_ARGOCD_UID, gid=_ARGOCD_UID),
            Folder("/app", uid=_ARGOCD_UID, gid=_ARGOCD_UID),
        )
    )
    layers = (BASE, _GIT, _ACCOUNT, files)
    return Image(argocd_name(version), layers, user=str(_ARGOCD_UID), env=(("HOME", "/home/argocd"),))
