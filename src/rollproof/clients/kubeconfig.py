"""Kubeconfig: the official client of one named context. The only importer of `kubernetes`.

It brings the file's format, credentials (exec plugins and their renewal) and TLS. Here it gets what it lacks: an exec
plugin has a deadline, is never asked to talk to a person, and its own words reach the user; proxies follow one rule
(`proxies`), because releases 34 and 35 of the client ignore NO_PROXY; connections have deadlines (`exchange`).
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger

from rollproof.clients.credentials import learn_configuration, learn_kubeconfig
from rollproof.clients.exchange import pools_by_scheme
from rollproof.clients.inputfile import KUBECONFIG_MAX, check_regular
from rollproof.clients.proxies import proxy_for
from rollproof.core.outside import Outside, parsed, shown, timestamp_s
from rollproof.errors import CannotJudgeError, InputError
from rollproof.redaction import SECRETS

__all__ = ["CredentialsError", "api_client"]

PLUGIN_S = 30.0
_POOL = 32
_WORDS_MAX = 300
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_SECRETIVE = re.compile(r"[A-Za-z0-9_\-.=+/]{32,}")  # a token, or something as long as one


class CredentialsError(CannotJudgeError):
    """The kubeconfig's way to credentials did not give any."""


def api_client(context: str, kubeconfig: str) -> Any:
    """The official ApiClient of that context. InputError for a file that is none; CredentialsError from its plugin."""
    where = kubeconfig or "KUBECONFIG or ~/.kube/config"
    usual = os.environ.get("KUBECONFIG") or "~/.kube/config"  # kubectl takes an empty KUBECONFIG for none
    _check_files([kubeconfig] if kubeconfig else usual.split(os.pathsep))
    if kubeconfig and not Path(kubeconfig).is_file():
        hint = "cluster.kubeconfig in the target file names it; `make lab` or `make sandbox` writes theirs"
        raise InputError(f"kubeconfig {where} does not exist", hint)
    learn_kubeconfig(kubeconfig)
    configuration = kubernetes_client.Configuration()
    configuration.connection_pool_maxsize = _POOL
    configuration.proxy = None  # what the client took from the environment by a rule of its own
    try:
        merged = KubeConfigMerger(kubeconfig or usual).config
        if merged is None:
            raise kubernetes_config.ConfigException("Invalid kube-config file. No configuration found.")
        loader: Any = _Loader(context, config_dict=merged, active_context=context, config_base_path=None)
        loader.load_and_set(configuration)
    except kubernetes_config.ConfigException as error:
        hint = "`kubectl config get-contexts` lists what there is; for the lab: make lab"
        if "/contexts list" in str(error):
            raise InputError(f"there is no context {context!r} in {where}", hint) from None
        raise InputError(f"context {context!r} is not usable from {where}: {error}", hint) from None
    except CannotJudgeError:
        raise
    except OSError as error:  # a tokenFile, a certificate
        if not error.filename or error.errno in _NO_ROOM:  # certificates of the file itself become temporary files
            message = f"the certificates in {where} need temporary files, and none can be made"
            hint = "free that disk, or name a folder with room in TMPDIR"
            raise CannotJudgeError(f"{message}: {error.strerror or error}", hint) from None
        message = f"{where} names a file that cannot be read: {error.filename}: {error.strerror}"
        raise InputError(message, "see cluster.kubeconfig in the target file") from None
    except Exception as error:  # noqa: BLE001 - a file that is no kubeconfig ends in any exception of its parser
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{where} is not a kubeconfig: {said}", "see cluster.kubeconfig in the target file") from None
    return _connected(configuration, where)


def _check_files(names: Iterable[str]) -> None:
    """InputError if one of the files would be read without an end, or is too large to be learned."""
    for name in filter(None, names):
        try:
            check_regular(Path(name).expanduser(), size_max=KUBECONFIG_MAX)
        except (OSError, RuntimeError) as error:
            why = (error.strerror if isinstance(error, OSError) else "") or str(error)
            raise InputError(f"kubeconfig {name} cannot be read: {why}", "name a regular file") from None


def _connected(configuration: Any, where: str) -> Any:
    learn_configuration(configuration)
    configuration.no_proxy = ""  # whether to bypass the proxy is decided here; a kubeconfig's own is always used
    if not configuration.proxy:
        configuration.proxy = proxy_for(str(configuration.host), os.environ) or None
    try:
        api = kubernetes_client.ApiClient(configuration)
    except Exception as error:  # noqa: BLE001 - certificates that are none, a proxy that is none: any exception
        said = " ".join(f"{type(error).__name__}: {error}".split())
        hint = "see the cluster's certificates and proxy-url there, and the proxy variables of the environment"
        raise InputError(f"{where} cannot be used: {said}", hint) from None
    api.rest_client.pool_manager.pool_classes_by_scheme = pools_by_scheme()
    return api


class _Loader(KubeConfigLoader):  # what it reads lives in `_user` and `_cluster`, which its types do not say
    """The client's loader, with exec plugins that are bounded and that say what went wrong."""

    def __init__(self, context: str, **words: Any) -> None:
        self._named = context
        super().__init__(**words)  # type: ignore[no-untyped-call]

    def _load_auth_provider_token(self) -> Any:
        user: Any = self._user
        provider = str((user.safe_get("auth-provider") or {}).get("name", "")) if user else ""
        if provider not in ("", "oidc"):  # of gcp the library makes an AttributeError, of others no credentials at all
            message = (
                f"the user of context {self._named!r} has the auth-provider {provider!r}, which is no longer known"
            )
            raise CredentialsError(message, "give it an exec plugin, as kubectl needs since 1.26, or a token")
        return super()._load_auth_provider_token()  # type: ignore[no-untyped-call]

    def _load_from_exec_plugin(self) -> bool | None:
        user: Any = self._user
        cluster: Any = self._cluster
        if "exec" not in user:
            return None
        base_path = self._get_base_path(cluster.path)  # type: ignore[no-untyped-call]
        status = _credential(ExecProvider(user["exec"], base_path, cluster), self._named)
        who = f"the exec plugin of context {self._named!r}"
        if status.has("token"):
            SECRETS.add([status.text("token")])  # also a renewed one
            self.token = f"Bearer {status.text('token')}"
        elif status.has("clientCertificateData") and status.has("clientKeyData"):
            self.cert_file = self._as_file(status, "clientCertificateData", base_path)
            self.key_file = self._as_file(status, "clientKeyData", base_path)
        else:
            raise CredentialsError(f"{who} gave neither a token nor a client certificate with its key", _hint(who))
        expiry_s = timestamp_s(status.text("expirationTimestamp")) if status.has("expirationTimestamp") else None
        if expiry_s is not None:
            self.expiry = datetime.fromtimestamp(expiry_s, UTC)
        return True

    def _load_user_token(self) -> Any:
        user: Any = self._user
        if named := user and user.safe_get("tokenFile"):
            base_path = self._get_base_path(user.path)  # type: ignore[no-untyped-call]
            try:
                check_regular(Path(base_path, str(named)))
            except OSError as error:
                raise CredentialsError(f"tokenFile {named} of context {self._named!r}: {error.strerror}") from None
        return super()._load_user_token()  # type: ignore[no-untyped-call]

    def _as_file(self, status: Outside, key: str, base_path: str) -> Any:
        return FileOrData(
            {key: status.text(key)}, None, data_key_name=key, file_base_path=base_path, base64_file_content=False,
            temp_file_path=self._temp_file_path,
        ).as_file()  # fmt: skip


def _hint(command: str) -> str:
    return f"run it by hand: {command}; it must answer by itself, without a person or a browser"


def _credential(plugin: Any, context: str) -> Outside:
    """Run the plugin, within PLUGIN_S and with nobody to talk to; the `status` of its answer."""
    command = " ".join(str(word) for word in plugin.args)
    who, hint = f"the exec plugin of context {context!r} ({shown(plugin.args[0])})", _hint(_hidden(command, plugin))
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
    if plugin.cluster:
        info["spec"]["cluster"] = plugin.cluster.value
    environ = {**plugin.env, "KUBERNETES_EXEC_INFO": json.dumps(info, default=str)}
    try:
        process = subprocess.Popen(
            plugin.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=plugin.cwd,
            env=environ, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError, TypeError) as error:
        raise CredentialsError(f"{who} cannot be started: {error}", "is it installed, and on the PATH?") from None
    try:
        output, errors = process.communicate(timeout=PLUGIN_S)
    except subprocess.TimeoutExpired:
        _end_group(process)
        _, errors = process.communicate()
        message = f"{who} gave no credentials within {PLUGIN_S:.0f} s{_own_words(errors, plugin)}"
        raise CredentialsError(message, hint) from None
    except BaseException:
        _end_group(process)
        raise
    if process.returncode != 0:
        raise CredentialsError(f"{who} ended with {process.returncode}{_own_words(errors, plugin)}", hint)
    answer = Outside.of(parsed(output, f"the answer of {who}", error=CredentialsError), who, error=CredentialsError)
    if answer.text("apiVersion") != plugin.api_version:
        answer.refuse("apiVersion", f"{plugin.api_version!r}, as the kubeconfig has it")
    return answer.child("status")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The plugin and what it started: it has a session of its own, which we made."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _own_words(errors: bytes, plugin: Any) -> str:
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    words = " ".join(_hidden(" | ".join(lines[-3:]), plugin).split())[:_WORDS_MAX]
    return f"; it said: {words}" if words else "; it said nothing"


def _hidden(text: str, plugin: Any) -> str:
    """Without anything that looks like a credential, and without what a terminal would obey."""
    own = {value for name, value in plugin.env.items() if os.environ.get(name) != value and len(str(value)) > 3}
    for value in own:
        text = text.replace(str(value), "[redacted]")
    return "".join(one if one.isprintable() else " " for one in _SECRETIVE.sub("[redacted]", text))
