"""Commands beside runs: of what is stored (export, history, compare), and of target files (schema, init)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from rollproof.core.commandline import typed
from rollproof.errors import InputError
from rollproof.reports.exports import FORMS
from rollproof.run import completion
from rollproof.run.helptexts import PRINTED, epilog
from rollproof.store.folderfiles import is_folder

__all__ = ["REPORTS", "RUN", "Reports", "add_commands", "found"]

RUN = typer.Argument(metavar="RUN", help="A run folder, or its name.", autocompletion=completion.runs)
Reports = Annotated[Path, typer.Option(help="Where run folders are.", envvar="ROLLPROOF_REPORTS")]
REPORTS = Path("reports")

_commands: list[tuple[Callable[..., None], dict[str, Any]]] = []


def add_commands(app: typer.Typer) -> None:
    """Add them to the command line."""
    for command, options in _commands:
        app.command(**options)(command)


def found(path: Path, reports: Path) -> Path:
    """The folder as given, or by its name below the reports folder: that one if it is nowhere, for the message."""
    a_name = len(path.parts) == 1 and not os.path.lexists(path)
    return reports / path if not is_folder(path) and (a_name or is_folder(reports / path)) else path


def _command(**options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def keep(command: Callable[..., None]) -> Callable[..., None]:
        _commands.append((command, options))
        return command

    return keep


@_command(
    short_help="A stored run for another program: CI, metrics, chat.",
    epilog=epilog(
        "rollproof export 20260101T000000Z-all --format github >> $GITHUB_STEP_SUMMARY",
        "rollproof export reports/20260101T000000Z-all --format prom --out /var/lib/node_exporter/rollproof.prom",
        "rollproof export 20260101T000000Z-all --format prom --endpoint http://pushgateway:9091",
        exits=PRINTED,
    ),
)
def export(
    run_folder: Annotated[Path, RUN],
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMS)}.", autocompletion=completion.forms)],
    out: Annotated[Path | None, typer.Option(help="Write this file, whole or not at all (default: print).")] = None,
    endpoint: Annotated[
        str, typer.Option(help="Send it there: otlp to a collector, prom to a Pushgateway; else nothing is sent.")
    ] = "",
    basic_auth_env: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="USER PASSWORD", help="Names of the environment variables with the endpoint's user and password."
        ),
    ] = None,
    reports: Reports = REPORTS,
) -> None:
    """Print a stored run in the form that another program reads; the facts are judged again, nothing is changed."""
    from rollproof.run.exporting import export_run, send_run  # noqa: PLC0415

    if endpoint and out is not None:
        raise InputError("--out and --endpoint exclude each other", "a run is written or sent")
    if basic_auth_env and not endpoint:
        raise InputError("--basic-auth-env is for --endpoint", "without an endpoint nothing is sent")
    if endpoint:
        send_run(found(run_folder, reports), form, endpoint, basic_auth_env)
    else:
        export_run(found(run_folder, reports), form, out)


@_command(
    short_help="Stored runs beside each other: what is odd?",
    epilog=epilog(
        "rollproof history",
        "rollproof history reports ci-artifacts --target-name staging --format html --out nights.html",
        exits=PRINTED,
    ),
)
def history(
    roots: Annotated[list[Path] | None, typer.Argument(metavar="REPORTS...", help="Folders of runs.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="table, html (a page), json or csv (for change-point tools).")
    ] = "table",
    target_name: Annotated[str, typer.Option(help="Only runs of this target.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write this file, whole or not at all (default: print).")] = None,
    reports: Reports = REPORTS,
) -> None:
    """Show stored runs night by night: is the newest out of the ordinary, did the rate of failures change?"""
    from rollproof.reports.console import LiveConsole  # noqa: PLC0415
    from rollproof.run.history import show_history  # noqa: PLC0415

    show_history(roots or [reports], form, target_name, LiveConsole(), out)


@_command(short_help="What differs between two runs.", epilog=epilog("rollproof compare RUN RUN", exits=PRINTED))
def compare(one: Annotated[Path, RUN], other: Annotated[Path, RUN], reports: Reports = REPORTS) -> None:
    """Show what differs between two stored runs: settings first, then verdicts, then numbers (from 2 % on)."""
    from rollproof.reports.console import LiveConsole  # noqa: PLC0415
    from rollproof.run.history import show_comparison  # noqa: PLC0415

    show_comparison(found(one, reports), found(other, reports), LiveConsole())


@_command(
    short_help="The JSON Schema of target files.", epilog=epilog("rollproof schema > target.schema.json", exits=PRINTED)
)
def schema() -> None:
    """Print the JSON Schema of target files: with `#:schema target.schema.json` above, editors check and complete."""
    from rollproof.reports.output import print_all  # noqa: PLC0415
    from rollproof.target.schema import schema_text  # noqa: PLC0415

    print_all(schema_text())


@_command(
    short_help="A target file from what a cluster says.",
    epilog=epilog(
        "rollproof init --context staging",
        "rollproof init --context staging --application argocd/shop --out shop.toml",
        exits=PRINTED,
    ),
)
def init(
    context: Annotated[str, typer.Option(help="The context of your kubeconfig; the current one is never used.")],
    application: Annotated[str, typer.Option(help="The Argo CD Application, as NAME or NAMESPACE/NAME.")] = "",
    deployment: Annotated[str, typer.Option(help="Needed where the Application has several.")] = "",
    kubeconfig: Annotated[str, typer.Option(help="Default: KUBECONFIG, then ~/.kube/config.")] = "",
    base_url: Annotated[str, typer.Option(help="How the app is reached from here (default: its Ingress's host).")] = "",
    repo_url: Annotated[str, typer.Option(help="How the env repo is reached from here (default: Argo CD's URL).")] = "",
    env_file: Annotated[str, typer.Option(help="A file with the variables that the target file names.")] = "",
    out: Annotated[Path | None, typer.Option(help="The file to write (default: targets/APPLICATION.toml).")] = None,
) -> None:
    """Ask a cluster and its Argo CD, and write a commented target file. Nothing in the cluster is changed."""
    from rollproof.reports.console import LiveConsole  # noqa: PLC0415
    from rollproof.run.init import write_target  # noqa: PLC0415
    from rollproof.target.draft import Given  # noqa: PLC0415

    given = Given(context=context, kubeconfig=kubeconfig, base_url=base_url, repo_url=repo_url, env_file=env_file)
    written, notes = write_target(given, application, deployment, out)
    console = LiveConsole()
    console.say(f"{' and '.join(map(str, written))} written.")
    for note in notes:
        console.say(f"to be looked at: {note}")
    console.say(f"next: {typed('doctor', '--target', written[0])}")
