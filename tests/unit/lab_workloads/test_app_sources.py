"""The app's files as far as they can be judged without running them; the lab's drills judge the running app."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess

import pytest

from lab import settings

SOURCE = settings.SOURCES / "app" / "source"


@pytest.mark.skipif(shutil.which("php") is None, reason="php is not installed here; the image's own php runs the files")
@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.php")), ids=lambda path: path.name)
def test_php_parses(path: object) -> None:
    subprocess.run(["php", "-l", str(path)], check=True, capture_output=True)


def test_supervisor_lets_nginx_and_fpm_finish_nginx_first() -> None:
    programs = configparser.ConfigParser(interpolation=None)
    programs.read(SOURCE / "docker" / "supervisord.conf", encoding="utf-8")
    assert programs["program:nginx"]["stopsignal"] == programs["program:fpm"]["stopsignal"] == "QUIT"
    assert int(programs["program:nginx"]["priority"]) > int(programs["program:fpm"]["priority"])


def test_fpm_waits_longer_than_the_longest_request_and_passes_the_environment_on() -> None:
    text = (SOURCE / "docker" / "fpm.conf").read_text(encoding="utf-8")
    index = (SOURCE / "public" / "index.php").read_text(encoding="utf-8")
    wait_s = re.search(r"process_control_timeout = (\d+)s", text)
    limit_ms = re.search(r"SLOW_LIMIT_MS = (\d+);", index)
    assert wait_s is not None
    assert limit_ms is not None
    assert int(wait_s[1]) * 1000 > int(limit_ms[1])
    assert text.count("clear_env = no") == text.count("pm = static") == 3


def test_probes_do_not_share_children_with_requests() -> None:
    nginx = (SOURCE / "docker" / "nginx.conf").read_text(encoding="utf-8")
    sockets = set(re.findall(r"fastcgi_pass unix:(\S+);", nginx))
    pools = set(
        re.findall(r"^listen = (\S+)$", (SOURCE / "docker" / "fpm.conf").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert sockets == pools
    assert len(pools) == 3


def test_the_app_keeps_idle_connections_longer_than_the_ingress() -> None:
    app = (SOURCE / "docker" / "nginx.conf").read_text(encoding="utf-8")
    upstream = (settings.SOURCES / "ingress" / "nginx.conf").read_text(encoding="utf-8").split("upstream pods")[1]
    kept = [re.search(r"keepalive_timeout (\d+)s", text) for text in (app, upstream)]
    assert kept[0] is not None
    assert kept[1] is not None
    assert int(kept[0][1]) > int(kept[1][1])
