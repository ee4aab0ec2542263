"""The command line: run, plan, judge, undo, doctor, sandbox, lab. It checks what was asked, and ends with the code.

Exit codes: 0 PASS, 1 FAIL, 2 wrong request, 3 INCONCLUSIVE, 4 undo failed. A drill runs in a pytest child process; the
code comes from verdicts.json, never from pytest, whose codes mean other things. A user never sees a traceback.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from rollproof import child
from rollproof.errors import CannotJudgeError, InputError, RollproofError, RunFolderError
from rollproof.folderfiles import FolderLock
from rollproof.judging import judge_run, write_reports
from rollproof.output import guarded
from rollproof.planning import Order, check_order, closed_fence, wanted_target
from rollproof.reports.console import LiveConsole
from rollproof.runfolder import RunFolder, new_run_id
from rollproof.suites import DRILLS, drill_path, expand
from rollproof.targetfile import load

__all__ = ["main"]

app = typer.Typer(
    name="rollproof",
    help="Verifies apps that are deployed the GitOps way, on a real cluster, and ends with a verdict: "
    "PASS (exit 0), FAIL (1) or INCONCLUSIVE (3).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_NAMES = ", ".join([*DRILLS, "all"])
Drill = Annotated[str, typer.Argument(help=f"One of {_NAMES}.", metavar="DRILL")]
Target = Annotated[Path, typer.Option(help="The target file: the system under test.")]
Sha = Annotated[str, typer.Option(help="App version to release (default: the first of release.shas not running).")]
OnFail = Annotated[str, typer.Option(help="Release drill only: 'restore' what was before, or 'keep' it to look.")]
Trial = Annotated[list[str] | None, typer.Option(help="Drift drill: only this trial; may be given again.")]
Reports = Annotated[Path, typer.Option(help="Where run folders are.")]
Production = Annotated[bool, typer.Option("--i-mean-production", help="Open the production fence for this run.")]

_TARGET = Path("targets/lab.toml")
_REPORTS = Path("reports")


@app.command()
def run(
    drill: Drill,
    target: Target = _TARGET,
    sha: Sha = "",
    on_fail: OnFail = "restore",
    trial: Trial = None,
    reports: Reports = _REPORTS,
    production: Production = False,
) -> None:
    """Run a drill, or all of them in one run: acts on the cluster, judges, puts everything back, writes the report."""
    order = _order(drill, sha, on_fail, trial, production)
    loaded = load(target)
    check_order(order, wanted_target(order, loaded.target))
    folder = reports / new_run_id(order.drills, wall_s=time.time())
    files = [drill_path(name) for name in order.drills]
    sys.exit(child.run_drills(order, files, target=target, folder=folder))


@app.command()
def plan(
    drill: Drill,
    target: Target = _TARGET,
    sha: Sha = "",
    on_fail: OnFail = "restore",
    trial: Trial = None,
    production: Production = False,
) -> None:
    """Print every object that a run would change and the exact change. Writes nothing to the cluster."""
    from rollproof.session import preview  # noqa: PLC0415 - the Kubernetes client takes a second to import

    order = _order(drill, sha, on_fail, trial, production)
    loaded = load(target)
    with LiveConsole() as console:
        console.plan(preview(order, loaded))
    if refusal := closed_fence(order, loaded.target):
        LiveConsole().say(f"`run` will need --i-mean-production: {refusal}")


@app.command()
def judge(run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Judge a stored run again, without a cluster: the same verdicts, and the reports written anew."""
    console = LiveConsole()
    with RunFolder.open(_found(run_folder)) as folder:
        report = judge_run(folder)
        with FolderLock.take(folder.path, "rollproof judge"):
            write_reports(folder, report)
    console.verdicts(report, folder=folder.path)
    sys.exit(report.exit_code)


@app.command()
def undo(
    run_folder: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run folder.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest run below --reports.")] = False,
    target: Annotated[Path | None, typer.Option(help="The target file, if its secrets moved since the run.")] = None,
    reports: Reports = _REPORTS,
) -> None:
    """Put back what a run left changed, for example after kill -9. Never overwrites what somebody changed since."""
    from rollproof.putback import undo_stored  # noqa: PLC0415

    if (run_folder is None) == (not last):
        raise InputError("name a run folder, or say --last", "`ls reports/` shows the runs")
    path = _newest(reports) if run_folder is None else _found(run_folder)
    with LiveConsole() as console:
        sys.exit(undo_stored(path, console, target_path=target))


@app.command()
def doctor(target: Target = _TARGET) -> None:
    """Look whether a drill could run: reach, rights, settings, app, generator. Changes nothing."""
    from rollproof.doctor import examine, summary  # noqa: PLC0415

    lines = examine(load(target))
    console = LiveConsole()
    console.answers((line.ok, line.name, line.said, line.hint) for line in lines)
    console.say(summary(lines))
    sys.exit(CannotJudgeError.exit_code if any(line.ok is False for line in lines) else 0)


@app.command()
def lab(
    action: Annotated[str, typer.Argument(help="up, down or status.")],
    options: Annotated[list[str] | None, typer.Argument(help="Handed on to `python -m lab`.")] = None,
) -> None:
    """Build, remove or look at the lab: a real cluster on this machine."""
    if action not in {"up", "down", "status"}:
        raise InputError(f"the lab knows up, down and status, not {action!r}")
    root = Path(__file__).resolve().parents[2]
    if not (root / "lab" / "__main__.py").is_file():
        raise InputError("the lab is part of the repository, and this is an installed package", "clone the repository")
    sys.exit(subprocess.run([sys.executable, "-m", "lab", action, *(options or ())], cwd=root, check=False).returncode)


@app.command(context_settings={"allow_interspersed_args": False})
def sandbox(
    command: Annotated[
        list[str] | None, typer.Argument(help="Run this with the sandbox up, and end with its exit code.")
    ] = None,
    defect: Annotated[
        list[str] | None, typer.Option(help="Something that is wrong, by name; may be given again.")
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
    from rollproof.sandbox.command import defect_list, run_sandbox  # noqa: PLC0415 - nothing else needs it

    if show:
        LiveConsole().say(defect_list())
        return
    sys.exit(run_sandbox(defect or (), folder, ports, seed, command or ()))


def main() -> None:
    """Entry point: every error that is ours becomes one message and its exit code, whatever becomes of the output."""
    with guarded():
        _main()


def _main() -> None:
    try:
        app(prog_name="rollproof")
    except RollproofError as error:
        LiveConsole(sys.stderr).problem(str(error), error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        LiveConsole(sys.stderr).problem("interrupted")
        sys.exit(3)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours is no verdict
        path = child.write_crash_log(error)
        LiveConsole(sys.stderr).problem(
            f"rollproof itself failed: {type(error).__name__}: {error}",
            f"the whole story is in {path}; please report it",
        )
        sys.exit(3)


def _order(drill: str, sha: str, on_fail: str, trial: list[str] | None, production: bool) -> Order:
    drills = expand(drill)
    if trial and "drift" not in drills:
        raise InputError(f"--trial is for the drift drill, not for {drill}")
    if on_fail != "restore" and drill != "release":
        raise InputError(f"--on-fail is for the release drill: {drill} always restores")
    return Order(drills=drills, sha=sha, on_fail=on_fail, trials=tuple(trial or ()), mean_production=production)


def _found(path: Path) -> Path:
    """The folder as given, or by its name below reports/."""
    return path if path.exists() or not (_REPORTS / path).is_dir() else _REPORTS / path


def _newest(reports: Path) -> Path:
    runs = [path for path in reports.iterdir() if (path / "plan.json").is_file()] if reports.is_dir() else []
    if not runs:
        raise RunFolderError(f"there is no run in {reports}")
    return max(runs, key=lambda path: path.name)
