"""The metrics of a run to a Prometheus Pushgateway: one PUT of Prometheus' text, called only where somebody named it.

A PUT replaces all that the gateway had of this group (`job="rollproof"` and the target), so that a figure that was not
measured this time is gone and not last night's; a PUT of one target leaves the others alone. Source: the README of
github.com/prometheus/pushgateway ("URL", "PUT method"): a label's value that holds a slash goes as base64url.
"""

from __future__ import annotations

import base64
from urllib.parse import SplitResult, quote, urlsplit

from rollproof.clients.http import Answer, request
from rollproof.core.counts import many
from rollproof.core.visible import printable
from rollproof.errors import CannotJudgeError, InputError
from rollproof.redaction import SECRETS
from rollproof.reports.exports.prometheus import CONTENT_TYPE, text
from rollproof.reports.model import Report

__all__ = ["send"]

_TIMEOUT_S = 10.0
_ACCEPTED = {200, 202}
_HINTS = {
    400: "the URL is that of the gateway, without /metrics/job/...; `export --format prom` shows what was sent",
    401: "--basic-auth-env USER_VARIABLE PASSWORD_VARIABLE names its login",
    404: "the URL is that of the gateway, without /metrics/job/...",
    405: "the URL is that of the gateway, without /metrics/job/...",
}


def send(report: Report, endpoint: str, authorization: str = "") -> str:
    """Push the run's metrics, and say what was sent, for people.

    endpoint: the gateway's URL, also below a path; authorization: the header's value, or "". No proxy is used and no
    redirect followed: the header goes to that host and no other. Raises InputError: it is no URL, or holds a login;
    CannotJudgeError: it was not accepted within 10 s.
    """
    parts = _parts(endpoint)
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{_group(report.plan.target.name)}"
    body = SECRETS.text(text(report))
    headers = {"Content-Type": CONTENT_TYPE, **({"Authorization": authorization} if authorization else {})}
    answer = request("PUT", url, headers, timeout_s=_TIMEOUT_S, body=body.encode())
    shown = printable(url)
    if answer.status not in _ACCEPTED:
        hint = _HINTS.get(answer.status or 0, "is a Pushgateway listening there? `export --format prom` needs none")
        raise CannotJudgeError(f"{shown} did not accept the metrics: {_reason(answer)}", hint)
    count = sum(1 for line in body.splitlines() if line and not line.startswith("#"))
    return f"{many(count, 'sample')} of the run {report.plan.run_id} replaced what {shown} had"


def _parts(endpoint: str) -> SplitResult:
    try:
        parts = urlsplit(endpoint)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise InputError("--endpoint is no http(s) URL", "for example http://127.0.0.1:9091")
    if parts.username or parts.password or parts.query or parts.fragment:
        hint = "a login is named by --basic-auth-env USER_VARIABLE PASSWORD_VARIABLE"
        raise InputError("--endpoint of a Pushgateway must be a URL without a login, `?` and `#`", hint)
    return parts


def _group(target: str) -> str:
    if "/" in target or target in {".", ".."}:  # as a part of a path the latter two mean another group
        encoded = base64.urlsafe_b64encode(target.encode()).decode()
        return f"/metrics/job/rollproof/target@base64/{encoded}"
    return f"/metrics/job/rollproof/target/{quote(target, safe='')}"


def _reason(answer: Answer) -> str:
    if answer.status is None:
        return SECRETS.text(printable(answer.error, length_max=300))
    if 300 <= answer.status < 400:
        return f"HTTP status {answer.status}: a redirect is not followed"
    said = SECRETS.text(printable(answer.body.decode(errors="replace").strip(), length_max=300))
    return f"HTTP status {answer.status}{f': {said}' if said else ''}"
