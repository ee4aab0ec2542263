"""The real readers of what rollproof exports, in the versions that were tried, and how one is asked.

Go programs are built by lab/gobuild.py, npm packages installed by npm (tests/fetching.py). What cannot be had skips its
tests, and the skip says why: no Go or npm here, no network, or a version that is gone.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lab import gobuild
from tests.fetching import from_npm, go_program, pip_source

__all__ = ["ACTIONLINT", "DASHBOARD", "OTELCOL", "PROMTOOL", "PUSHGATEWAY", "go_program", "junit_xsd", "run", "taplo"]

# Without the clients of every cloud, which take half an hour to build; no alert and no metric needs one.
PROMTOOL = gobuild.Program(
    "promtool", install="github.com/prometheus/prometheus/cmd/promtool@v0.316.0", tags="remove_all_sd"
)
ACTIONLINT = gobuild.Program("actionlint", install="github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
PUSHGATEWAY = gobuild.Program("pushgateway", package="github.com/prometheus/pushgateway")  # 1.11.1: lab/go/pushgateway
OTELCOL = gobuild.Program("otelcol")  # parts of 0.161.0: lab/go/otelcol
DASHBOARD = gobuild.Program("dashboard")  # Grafana's types of dashboards, 0.0.22: lab/go/dashboard

_RUN_S = 120


def taplo() -> Path:
    """The TOML checker of editors."""
    return from_npm("@taplo/cli", "0.7.0", "taplo")


def junit_xsd() -> Path:
    """Jenkins' xunit-plugin's junit-10.xsd, which pytest's source archive holds."""
    return pip_source("pytest", "9.0.2") / "testing/example_scripts/junit-10.xsd"


def run(*command: str | Path, stdin: str = "", cwd: Path | None = None, **environ: str) -> tuple[int, str]:
    """The exit code and all that the reader said."""
    done = subprocess.run(
        [str(one) for one in command], input=stdin, cwd=cwd, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=_RUN_S, check=False, env={**os.environ, "NO_COLOR": "1", **environ},
    )  # fmt: skip
    return done.returncode, done.stdout
