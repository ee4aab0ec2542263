"""Pipelinesettings: the section `[pipeline]` of the target file: where a version's road to production can be read.

What is left out is not read, and its legs are SKIPPED (docs/pipeline.md). The env repo, Argo CD and the app are named
by the other sections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from rollproof.core.declared import Names, above, between, one_of

__all__ = ["SEVERITIES", "ActionsSettings", "PipelineSettings", "RegistrySettings"]

SEVERITIES = ("UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL")  # of a scan's results: Trivy's, the least first


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsSettings:
    """The app's repository at GitHub, or at whatever speaks its REST API, and what its jobs are called.

    A job is named as the run shows it ("test": also those of its matrix), a step "job/step".
    """

    repository: str = ""  # "owner/name"; empty: it is not asked
    api_url: str = ""  # of GitHub Enterprise, "https://github.example.com/api/v3"; empty: GitHub's own
    token_env: str = ""  # with actions:read and contents:read; empty: a public repository
    workflow: str = ""  # the workflow's file, "deploy.yml"; empty: the newest run of any
    test_jobs: Names = ()
    scan_jobs: Names = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """The registry from which the nodes pull, by the OCI distribution API. A login: one of the two ways, or none.

    pull_secret: a Secret of the app's namespace (kubernetes.io/dockerconfigjson), whose entry for the url's host is
    used: reading the image with it is the proof that it works.
    """

    url: str = ""  # "https://ghcr.io"; empty: it is not asked
    pull_secret: str = ""
    username_env: str = ""
    password_env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """What `rollproof run pipeline` holds the running version's road against."""

    author: str = ""  # name or e-mail address of whoever commits new tags to the env repo; empty: anybody
    # how long a leg may take, by its name (docs/pipeline.md), from the end of the leg before it; others are only shown
    limits_s: Annotated[dict[str, float], above(0, 86_400)] = field(default_factory=dict)
    # how far the clocks of CI, git and cluster may be apart; what lies closer together has no known order
    clock_slack_s: Annotated[float, between(0, 600)] = 5.0
    actions: ActionsSettings = field(default_factory=ActionsSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    # the scan's own report of the image: Trivy's JSON, or SARIF; empty: none is read
    scan_file: str = ""
    # the gravest that may be in it; empty: its results are only counted
    scan_severity_max: Annotated[str, one_of("", *SEVERITIES)] = ""
