"""The lab's own command line: ``python -m lab up | down | status``.

Exit codes: 0 done, 1 a step failed, 2 wrong usage or missing prerequisites. Must never show a traceback to a person.
"""

from __future__ import annotations

import argparse
import signal
import sys

from lab import output, plan, public, settings
from lab.cluster import Mode
from lab.steps import LabError


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, and turn every failure that a person can act on into one message."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if given.command == "up":
            if given.dry_run:
                return public.dry_run(_mode(given))
            return plan.up(_mode(given), install=given.install)
        if given.command == "down":
            return plan.down(with_cache=given.cache)
        return plan.status()
    except LabError as error:
        sys.stderr.write(f"lab: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "lab: interrupted; run `python -m lab up` again to go on, or `python -m lab down` to remove it\n"
        )
        return 130


def _mode(given: argparse.Namespace) -> Mode:
    if given.kubernetes and given.images == "public":
        raise LabError("--kubernetes goes with --images built: the version of public node images is that of kind's own")
    kept = plan.mode_of_the_lab()
    return Mode(
        given.images,
        given.argocd or kept.argocd,
        given.kubernetes or kept.kubernetes,
        given.ingress or kept.ingress,
    )


def _interrupt(_number: int, _frame: object) -> None:
    """SIGTERM is handled like Ctrl-C: the child processes of the steps are ended as well."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    newest, kubernetes = settings.ARGOCD_VERSIONS[0], settings.KUBERNETES_VERSIONS[0]
    parser = argparse.ArgumentParser(
        prog="python -m lab", description=f"The real target: kind cluster {settings.CLUSTER} with Argo CD."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="up|down|status")
    up = commands.add_parser("up", help="make the lab, or complete it; a healthy lab is left as it is")
    up.add_argument(
        "--images", choices=("built", "public"), default="built", help="where images come from (default: %(default)s)"
    )
    up.add_argument(
        "--argocd",
        choices=settings.ARGOCD_VERSIONS,
        help=f"which Argo CD; a lab that runs another is changed in place (default: as it is; new: {newest})",
    )
    up.add_argument(
        "--kubernetes",
        choices=settings.KUBERNETES_VERSIONS,
        help=f"which Kubernetes; a lab that runs another is made anew (default: as it is; new: {kubernetes})",
    )
    up.add_argument(
        "--ingress",
        choices=settings.INGRESSES,
        help="our own nginx, or Traefik; a lab that has the other is changed in place (default: as it is; new: nginx)",
    )
    up.add_argument("--dry-run", action="store_true", help="print the images and steps, and do nothing")
    up.add_argument("--install", action="store_true", help="install missing Debian packages and Go first")
    down = commands.add_parser("down", help="remove the lab, and only the lab; build outputs stay")
    down.add_argument("--cache", action="store_true", help="remove the cached build outputs as well")
    commands.add_parser("status", help="say what runs and what is healthy")
    return parser


if __name__ == "__main__":
    output.guard()
    sys.exit(main())
