"""Target and environment → the settings of a load session: which lanes, to where, with which headers.

Header values are secrets: they go to the child over stdin and are never written to a file or an argument list.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from rollproof.core.loadsettings import Lane, Settings, Tls
from rollproof.core.target import App, Control, Traffic
from rollproof.loadgen.child import LoadError
from rollproof.redaction import SECRETS

__all__ = ["CONTROL", "session_settings", "url_of"]

CONTROL = "control"
# Of each ten requests; without a POST path or a control probe their shares go to the keep-alive GET lane.
_POST_SHARE, _NEW_SHARE, _CONTROL_SHARE, _BLOCK = 2, 2, 1, 10


def session_settings(
    app: App, traffic: Traffic, control: Control | None, environ: Mapping[str, str], *,
    record: Path, html: Path, request_id_prefix: str, seed: int,
) -> Settings:  # fmt: skip
    """What the generator is told first."""
    return Settings(
        lanes=_lanes(app, traffic, control),
        rate_per_s=traffic.rate_per_s,
        timeout_s=traffic.timeout_s,
        max_duration_s=traffic.max_duration_s,
        record=str(record),
        html=str(html),
        control=CONTROL if control else "",
        request_id_prefix=request_id_prefix,
        headers=_headers(app, environ),
        version_header=app.version_header,
        version_pointer=app.version_pointer,
        served_by_header=app.served_by_header,
        seed=seed,
        secrets_known=SECRETS.known(),
        tls=Tls(ca_file=app.ca_file, client_cert_file=app.client_cert_file, client_key_file=app.client_key_file),
    )


def _lanes(app: App, traffic: Traffic, control: Control | None) -> tuple[Lane, ...]:
    """With a version header every answer must carry a version; without one only the health answer can."""
    other = "expected" if app.version_header else "optional"
    get = Lane(
        name="keepalive-get", url=url_of(app, app.home_path if app.version_header else app.health_path), host=app.host,
        version="expected",
    )  # fmt: skip
    lanes = [replace(get, name="new-get", share=_NEW_SHARE, new_connection=True)]
    if app.post_path:
        url = url_of(app, app.post_path)
        lanes.append(
            Lane(name="keepalive-post", method="POST", share=_POST_SHARE, url=url, host=app.host, version=other)
        )
    if control is not None:
        lanes.append(Lane(name=CONTROL, share=_CONTROL_SHARE, secrets=False, url=control.url, host=control.host))
    lanes.insert(0, replace(get, share=_BLOCK - sum(lane.share for lane in lanes)))
    if app.slow_path and traffic.slow_concurrency:
        url = url_of(app, app.slow_path)
        lanes.append(Lane(name="slow", concurrency=traffic.slow_concurrency, url=url, host=app.host, version=other))
    return tuple(lanes)


def url_of(app: App, path: str) -> str:
    """The base URL's own path, then `path`; a query in `path` is kept."""
    base, wanted = urlsplit(app.base_url), urlsplit(path)
    joined = base.path.rstrip("/") + "/" + wanted.path.lstrip("/")
    return urlunsplit((base.scheme, base.netloc, joined, wanted.query, ""))


def _headers(app: App, environ: Mapping[str, str]) -> dict[str, str]:
    headers = {header: _value(environ, name) for header, name in app.headers_env.items()}
    if app.basic_auth_env:
        user, password = (_value(environ, name) for name in app.basic_auth_env)
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    return headers


def _value(environ: Mapping[str, str], name: str) -> str:
    if name not in environ:
        raise LoadError(f"environment variable {name} is not set, but the target file names it", f"export {name}=...")
    return environ[name]
