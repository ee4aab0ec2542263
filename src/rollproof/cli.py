"""The command line: it checks what was asked, calls what does it, and ends with the code.

Exit codes: 0 PASS, 1 FAIL, 2 wrong request, 3 INCONCLUSIVE, 4 undo failed. A drill runs in a pytest child process; the
code comes from verdicts.json, never from pytest, whose codes mean other things. A user never sees a traceback.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
import typer.main

from rollproof.errors import CannotJudgeError, InputError, NotPutBackError, RollproofError
from rollproof.reports.output import check_told, guarded
from rollproof.run import completion
from rollproof.run.commandgroup import Group
from rollproof.run.helptexts import DOCTOR, LAB, PLAN, PRINTED, SANDBOX, UNDO, drills_text, epilog
from rollproof.run.signals import as_interrupts, ignore_endings
from rollproof.run.stored import REPORTS, RUN, Reports, add_commands, found
from rollproof.suites import SETS, drill_names

if TYPE_CHECKING:
    from rollproof.reports.console import LiveConsole
    from rollproof.target.file import LoadedTarget

__all__ = ["main"]

# Everything else is imported by the command that needs it: the Kubernetes client, numpy and pydantic take a second,
# and `--help`, `--version` and completion need none of them (tests/unit/test_cli.py holds this).


app = typer.Typer(
    name="rollproof",
    cls=Group,
    help="Verifies apps that are deployed the GitOps way, on a real cluster, and ends with a verdict: "
    "PASS, FAIL or INCONCLUSIVE, with the evidence.",
    epilog=epilog("rollproof doctor --target targets/staging.toml", "rollproof run all --target targets/staging.toml"),
    no_args_is_help=True,
    rich_markup_mode=None,  # rich takes longer to import than the help to print
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

_NAMES = ", ".join([*drill_names(), *SETS])
Drill = Annotated[str, typer.Argument(help=f"One of {_NAMES}.", metavar="DRILL", autocompletion=completion.drills)]
Target = Annotated[Path, typer.Option(help="The target file: the system under test.", envvar="ROLLPROOF_TARGET")]
Sha = Annotated[str, typer.Option(help="App version to release (default: the first of release.shas not running).")]
OnFail = Annotated[str, typer.Option(help="Release drill only: 'restore' what was before, or 'keep' it to look.")]
Trial = Annotated[
    list[str] | None,
    typer.Option(help="Drift drill: only this trial; may be given again.", autocompletion=completion.trials),
]
UnderLoad = Annotated[
    bool, typer.Option("--under-load", help="Drift drill: send requests, and judge availability too.")
]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Chaos: only this drill; may be given again.", autocompletion=completion.drills),
]
Bad = Annotated[
    str, typer.Option(metavar="KIND", help="Bad-release drill: which of release.bad (default: the first there).")
]
Production = Annotated[str, typer.Option("--i-mean-production", metavar="NAME", help="The production target meant.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout (docs/json.md); the rest on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="One line if all is well; all that matters if not.")]

_TARGET = Path("targets/lab.toml")


def _defects(incomplete: str) -> list[str]:
    from rollproof_sandbox.defects import DEFECTS  # noqa: PLC0415

    return completion.fitting([*DEFECTS], incomplete)


def _version(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    from rollproof import __version__  # noqa: PLC0415

    client = "not installed"
    with suppress(PackageNotFoundError):
        client = version("kubernetes")
    python = ".".join(str(part) for part in sys.version_info[:3])
    typer.echo(f"rollproof {__version__} (Python {python}, kubernetes client {client})")
    raise typer.Exit


@app.callback()
def _before(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Options that belong to no command."""


@app.command(
    short_help="Run drills: act, judge, put all back.",
    epilog=f"{drills_text()}\n\n"
    + epilog("rollproof run all --target targets/staging.toml", "rollproof run release --sha 1a2b3c4 --json -q"),
)
def run(
    drill: Drill,
    target: Target = _TARGET,
    sha: Sha = "",
    on_fail: OnFail = "restore",
    trial: Trial = None,
    under_load: UnderLoad = False,
    only: Only = None,
    bad: Bad = "",
    reports: Reports = REPORTS,
    production: Production = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a drill, or all of them in one run: acts on the cluster, judges, puts everything back, writes the report."""
    with _answer("run", as_json=as_json):
        from rollproof.preflight.planning import check_order, named_drills, wanted_target  # noqa: PLC0415
        from rollproof.run import process  # noqa: PLC0415
        from rollproof.run.ordering import order_of  # noqa: PLC0415
        from rollproof.store.runfolder import new_run_id  # noqa: PLC0415
        from rollproof.target.file import load  # noqa: PLC0415

        order = order_of(drill, only, sha, on_fail, trial, production, under_load, bad)
        loaded = load(target)
        _tell_leftovers(loaded, reports)
        order = replace(order, drills=named_drills(drill, only or (), loaded.target))
        check_order(order, wanted_target(order, loaded.target), datetime.now(UTC))
        folder = reports / new_run_id((drill,), wall_s=time.time())
        files = [chosen.path for chosen in order.chosen]
        out = sys.stderr if as_json else None
        code = process.run_drills(order, files, target=target, folder=folder, quiet=quiet, out=out)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from rollproof.run.ci import tell_github  # noqa: PLC0415

            tell_github(folder, out or sys.stdout, _console(sys.stderr).say)
    if as_json:
        from rollproof.reports.documents import run_document  # noqa: PLC0415

        _tell(run_document("run", folder, code))
    sys.exit(code)


@app.command(
    short_help="Every change that a run would make.",
    epilog=epilog(
        "rollproof plan all --target targets/staging.toml", "rollproof plan drift --trial env --json", exits=PLAN
    ),
)
def plan(
    drill: Drill,
    target: Target = _TARGET,
    sha: Sha = "",
    on_fail: OnFail = "restore",
    trial: Trial = None,
    under_load: UnderLoad = False,
    only: Only = None,
    bad: Bad = "",
    reports: Reports = REPORTS,
    production: Production = "",
    as_json: AsJson = False,
) -> None:
    """Print every object that a run would change and the exact change. Writes nothing to the cluster."""
    with _answer("plan", as_json=as_json):
        from rollproof.preflight.planning import named_drills, refusal_of  # noqa: PLC0415
        from rollproof.run.ordering import order_of  # noqa: PLC0415
        from rollproof.run.session import preview  # noqa: PLC0415
        from rollproof.target.file import load  # noqa: PLC0415

        order = order_of(drill, only, sha, on_fail, trial, production, under_load, bad)
        loaded = load(target)
        _tell_leftovers(loaded, reports)
        order = replace(order, drills=named_drills(drill, only or (), loaded.target))
        planned, refusal = preview(order, loaded), refusal_of(order, loaded.target, datetime.now(UTC))
    if as_json:
        from rollproof.reports.documents import plan_document  # noqa: PLC0415

        _tell(plan_document(planned, refusal))
        return
    with _console() as console:
        console.plan(planned)
    if refusal:
        _console().say(refusal)


@app.command(
    short_help="Judge a stored run again, without a cluster.",
    epilog=epilog("rollproof judge reports/20260101T000000Z-all", "rollproof judge 20260101T000000Z-all --json"),
)
def judge(
    run_folder: Annotated[Path, RUN], reports: Reports = REPORTS, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Judge a stored run again, without a cluster: the same verdicts, and the reports written anew."""
    with _answer("judge", as_json=as_json):
        from rollproof.store.unpacking import ahead  # noqa: PLC0415

        path = found(run_folder, reports)
        with ahead(path) as logs:  # a fifth of a second and more, beside the imports
            from rollproof.judge.judging import judge_run, write_reports  # noqa: PLC0415
            from rollproof.store.folderfiles import FolderLock  # noqa: PLC0415
            from rollproof.store.runfolder import RunFolder  # noqa: PLC0415

            with RunFolder.open(path, logs=logs) as folder:
                report = judge_run(folder)
                with FolderLock.take(folder.path, "rollproof judge"):
                    write_reports(folder, report)
    if as_json:
        from rollproof.reports.documents import run_document  # noqa: PLC0415

        _tell(run_document("judge", folder.path, report.exit_code))
    else:
        _console(quiet=quiet).verdicts(report, folder=folder.path)
    sys.exit(report.exit_code)


@app.command(
    short_help="Put back what a run left changed.",
    epilog=epilog("rollproof undo --last", "rollproof undo --all --target targets/staging.toml", exits=UNDO),
)
def undo(
    run_folder: Annotated[Path | None, RUN] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest run below --reports.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="All unfinished runs: below --reports, and in the cluster of --target.")
    ] = False,
    target: Annotated[
        Path | None, typer.Option(help="The target file: of a folder from elsewhere, and of --all.")
    ] = None,
    reports: Reports = REPORTS,
) -> None:
    """Undo what a run left changed, for example after kill -9. Never overwrites what somebody changed since."""
    from rollproof.run.undoing import undo_runs  # noqa: PLC0415

    run = found(run_folder, reports) if run_folder is not None else None
    with _console() as console:
        try:
            sys.exit(undo_runs(console, run, reports, last=last, every=every, target=target))
        except KeyboardInterrupt:
            message = "interrupted: what was not undone yet still is not"
            raise NotPutBackError(message, "the same command goes on with it") from None


@app.command(
    short_help="Look whether a drill could run.",
    epilog=epilog(
        "rollproof doctor --target targets/staging.toml", "rollproof doctor pod-delete --json -q", exits=DOCTOR
    ),
)
def doctor(
    drill: Drill = "all",
    target: Target = _TARGET,
    reports: Reports = REPORTS,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look whether drills could run: reach, permissions, settings, app, generator. Changes nothing."""
    with _answer("doctor", as_json=as_json):
        from rollproof.preflight.doctor import examine, summary  # noqa: PLC0415
        from rollproof.preflight.planning import named_drills  # noqa: PLC0415
        from rollproof.target.file import load  # noqa: PLC0415

        named_drills(drill)  # a word that is none is wrong, whatever the file says
        loaded = load(target)
        _tell_leftovers(loaded, reports)
        lines = examine(loaded, named_drills(drill, target=loaded.target))
    code = CannotJudgeError.exit_code if any(line.ok is False for line in lines) else 0
    if as_json:
        from rollproof.reports.documents import doctor_document  # noqa: PLC0415

        _tell(doctor_document(loaded.target.name, lines, summary(lines), code))
        sys.exit(code)
    console = _console()
    console.answers((line.ok, line.name, line.said, line.hint) for line in lines if not (quiet and line.ok))
    console.say(summary(lines))
    sys.exit(code)


@app.command(
    short_help="The least Kubernetes rights, as YAML.",
    epilog=epilog(
        "rollproof rbac all --target targets/staging.toml | kubectl apply -f -",
        "rollproof rbac pod-delete drift --name rollproof-chaos --namespace tools --target targets/staging.toml",
        exits=PRINTED,
    ),
)
def rbac(
    drills: Annotated[
        list[str], typer.Argument(help=f"Of {_NAMES}.", metavar="DRILL...", autocompletion=completion.drills)
    ],
    target: Target = _TARGET,
    sha: Sha = "",
    name: Annotated[str, typer.Option(help="Of account, roles and bindings (default: rollproof-<target>).")] = "",
    namespace: Annotated[str, typer.Option(help="Of the ServiceAccount (default: the app's).")] = "",
    cluster: Annotated[str, typer.Option(help="'app' or 'argocd', where these are two clusters.")] = "",
    production: Production = "",
    as_json: AsJson = False,
) -> None:
    """Print ServiceAccount, Roles and bindings with exactly what these drills need. Asks no cluster."""
    with _answer("rbac", as_json=as_json):
        from rollproof.preflight.roles import Wanted, order_of, roles_for  # noqa: PLC0415
        from rollproof.target.file import load  # noqa: PLC0415

        wanted, loaded = Wanted(name=name, namespace=namespace, cluster=cluster), load(target)
        roles = roles_for(order_of(drills, loaded.target, sha, production), loaded.target, wanted)
    if as_json:
        from rollproof.reports.documents import rbac_document  # noqa: PLC0415

        _tell(rbac_document(roles.target.name, roles.drills, roles.objects, roles.rules))
    else:
        _console().say(roles.yaml)
    check_told()


@app.command(
    short_help="A real cluster on this machine.", epilog=epilog("rollproof lab up", "rollproof lab status", exits=LAB)
)
def lab(
    action: Annotated[str, typer.Argument(help="up, down or status.")],
    options: Annotated[list[str] | None, typer.Argument(help="Handed on to `python -m lab`.")] = None,
) -> None:
    """Build, remove or show the lab: a real cluster on this machine."""
    if action not in {"up", "down", "status"}:
        raise InputError(f"the lab knows up, down and status, not {action!r}")
    root = Path(__file__).resolve().parents[2]
    if not (root / "lab" / "__main__.py").is_file():
        raise InputError("the lab is part of the repository, and this is an installed package", "clone the repository")
    sys.exit(subprocess.run([sys.executable, "-m", "lab", action, *(options or ())], cwd=root, check=False).returncode)


@app.command(
    short_help="The embedded target: no Docker, no root.",
    context_settings={"allow_interspersed_args": False},
    epilog=epilog(
        "rollproof sandbox --ports auto -- rollproof run all --target {target}   (ends with that code)",
        "rollproof sandbox --defect prestop-too-short -- rollproof run zero-downtime --target {target}",
        exits=SANDBOX,
        more="With COMMAND it ends with the exit code of that.",
    ),
)
def sandbox(
    command: Annotated[
        list[str] | None, typer.Argument(help="Run this with the sandbox up, and end with its exit code.")
    ] = None,
    defect: Annotated[
        list[str] | None,
        typer.Option(help="Something that is wrong, by name; may be given again.", autocompletion=_defects),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where it keeps its files ($XDG_STATE_HOME/rollproof/sandbox).")
    ] = None,
    ports: Annotated[str, typer.Option(help="'auto', or three numbers: API,INGRESS,GIT.")] = "",
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 0,
    show: Annotated[
        bool, typer.Option("--list", help="Every defect: what goes wrong, what shows it, the verdict.")
    ] = False,
) -> None:
    """Run the embedded target: no Docker, no root. In COMMAND, {target} is its target file."""
    from rollproof_sandbox.command import defect_list, run_sandbox  # noqa: PLC0415 - nothing else needs it

    if show:
        _console().say(defect_list())
        return
    sys.exit(run_sandbox(defect or (), folder, ports, seed, command or ()))


add_commands(app)


def main() -> None:
    """Entry point: every error of ours becomes one message and its exit code, even if the output is closed."""
    with guarded(), as_interrupts():
        _main()


@cache
def _commands() -> Any:
    """As typer makes them of the functions above. It takes longer than many a command, and tests run hundreds."""
    return typer.main.get_command(app)


def _main() -> None:
    try:
        _commands()(prog_name="rollproof")
    except RollproofError as error:
        ignore_endings()
        _console(sys.stderr).problem(str(error), error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        ignore_endings()
        _console(sys.stderr).problem("interrupted")
        sys.exit(3)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours is no verdict
        ignore_endings()
        from rollproof.run import process  # noqa: PLC0415

        told = process.crash_log_told(process.write_crash_log(error))
        _console(sys.stderr).problem(f"rollproof itself failed: {type(error).__name__}: {error}", told)
        sys.exit(3)


def _console(stream: TextIO | None = None, *, quiet: bool = False) -> LiveConsole:
    from rollproof.reports.console import LiveConsole  # noqa: PLC0415

    console = LiveConsole(stream)
    console.quiet = quiet
    return console


@contextmanager
def _answer(command: str, *, as_json: bool) -> Iterator[None]:
    """With --json, an error is printed on standard output too, as the one object that a reader expects there."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if as_json:
            from rollproof.reports.documents import error_document  # noqa: PLC0415

            code = error.exit_code if isinstance(error, RollproofError) else RollproofError.exit_code
            said = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            _tell(error_document(command, code, said, getattr(error, "hint", "")))
        raise


def _tell(document: Mapping[str, Any]) -> None:
    """Print the JSON answer. A reader that has closed the pipe changes no exit code."""
    from rollproof.reports.documents import as_text  # noqa: PLC0415

    with suppress(OSError, ValueError):
        print(as_text(document), flush=True)


def _tell_leftovers(loaded: LoadedTarget, reports: Path) -> None:
    """What unfinished runs have left, first of all and on standard error: it changes no answer."""
    from rollproof.run.leftovers import tell_leftovers  # noqa: PLC0415

    tell_leftovers(loaded, reports, _console(sys.stderr).say)
