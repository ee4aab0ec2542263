"""Is the app well before we begin? It answers at its address, with the version that is deployed and a good database.

And so does the control probe, which speaks for the way to the app. What load could not be sent to is refused.
"""

from __future__ import annotations

from typing import Any

from rollproof.clients.http import Answer, Http
from rollproof.core.outside import says, spelled
from rollproof.core.target import App, Control
from rollproof.errors import CannotJudgeError, InputError

__all__ = ["check_app", "check_control"]


def check_app(app: App, http: Http, sha: str) -> None:
    """The app answers at its address, with this version and a good database."""
    health = _asked(app, http, app.health_path)
    if health.status == 404:
        raise InputError(f"{app.base_url}{app.health_path} answered 404", "see app.host and app.health_path")
    if health.status != 200:
        raise CannotJudgeError(f"{app.base_url}{app.health_path} answered {health.status}: sick before we begin")
    version = spelled(_value(app, health, app.health_path, app.version_pointer, "version_pointer"))
    if sha == "latest":
        message = f"the overlay's tag is 'latest', which names no version; {app.health_path} says {version}"
        raise CannotJudgeError(message, "set the git sha that the image was built from")
    if version != sha:
        message = f"{app.base_url}{app.health_path} says version {version}, but the Deployment has {sha}"
        raise CannotJudgeError(message, "is base_url (and host) that app, and is its deploy finished?")
    ready = _asked(app, http, app.ready_path)
    database = _value(app, ready, app.ready_path, app.database_pointer, "database_pointer")
    if not says(database, app.database_ok):
        said = f"{app.base_url}{app.ready_path} says database {spelled(database)!r}"
        message = f"{said}, not {app.database_ok!r}"
        raise CannotJudgeError(message, "sick before we begin; or app.database_ok names another word")
    for name in ("home_path", "slow_path", "post_path"):
        path = getattr(app, name)
        if path:
            answer = http.post(path) if name == "post_path" else http.get(path)
            _check_answer(f"{app.base_url}{path}", answer)
            _check_good(f"{app.base_url}{path}", answer, f"app.{name}")


def check_control(control: Control | None, http: Http) -> None:
    """A control probe that fails without us could never speak for the app."""
    if control is None:
        return
    answer = http.ask(control.url, {"Host": control.host} if control.host else {})
    if answer.error:
        raise CannotJudgeError(f"{control.url} (the control probe) did not answer: {answer.error}", "see control.url")
    _check_good(f"{control.url} (the control probe)", answer, "control.url and control.host")


def _check_good(url: str, answer: Answer, place: str) -> None:
    if answer.status is None or not 200 <= answer.status < 300:
        kind = InputError if answer.status is not None and answer.status < 500 else CannotJudgeError
        raise kind(f"{url} answered {answer.status}, which load would count as a failure", f"see {place}")


def _asked(app: App, http: Http, path: str) -> Answer:
    """The answer to a GET, if it is one that load could be sent to."""
    answer = http.get(path)
    _check_answer(f"{app.base_url}{path}", answer)
    return answer


def _check_answer(url: str, answer: Answer) -> None:
    if answer.error.startswith("connect.tls"):
        raise InputError(
            f"{url}: {answer.error}", "see app.ca_file, and whether base_url has the right host and scheme"
        )
    if answer.error:
        raise CannotJudgeError(f"{url} did not answer: {answer.error}", "see app.base_url in the target file")
    if answer.status is not None and 300 <= answer.status < 400:
        where = answer.headers.get("location", "elsewhere")
        message = f"{url} redirects to {where}; a measurement must not follow redirects"
        raise InputError(message, "name the final address in app.base_url and app.host")
    if answer.status in {401, 407}:
        raise InputError(f"{url} answered {answer.status}", "name credentials: app.basic_auth_env or app.headers_env")
    if answer.status in {403, 429}:
        raise CannotJudgeError(f"{url} answered {answer.status}: a gate in front refuses us", "see app.headers_env")


def _value(app: App, answer: Answer, path: str, pointer: str, name: str) -> Any:
    try:
        return answer.field(pointer)
    except LookupError as error:
        message = f"{app.base_url}{path} (HTTP {answer.status}): {error}"
        raise InputError(message, f"see app.{name} in the target file") from None
