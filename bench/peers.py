"""Load as users of locust write it, to be measured beside our engine: FastHttpUser and HttpUser with paced tasks.

A child process: settings as one JSON line on stdin ({"user": "fast"|"http", "url", "users", "rate_per_s", "seconds",
"out"}; rate 0 means as fast as it can), rows in an npz file, {"started"} and {"done"} on stdout. The only thing that a
user would not write is the list of times.
"""

import locust  # the first import of the process: it patches sockets

# isort: split
import json
import os
import sys
import time
from typing import Any

import gevent
import locust.env
import numpy as np

settings = json.loads(sys.stdin.readline())
rows: list[tuple[int, int, int, bool]] = []
_now = time.monotonic_ns


def get(user: Any) -> None:
    """The one task: a GET that must answer 200."""
    begun_ns = _now()
    with user.client.get("/", catch_response=True) as response:
        ok = response.status_code == 200
        if not ok:
            response.failure(f"status {response.status_code}")
    rows.append((id(user), begun_ns, _now(), ok))


rate_of_one_per_s = settings["rate_per_s"] / settings["users"]
pace = locust.constant_throughput(rate_of_one_per_s) if rate_of_one_per_s else locust.constant(0)


class Fast(locust.FastHttpUser):
    """The quick client of locust."""

    host = settings["url"]
    wait_time = pace
    tasks = [get]  # noqa: RUF012 - locust declares a list


class Ordinary(locust.HttpUser):
    """The client built on requests."""

    host = settings["url"]
    wait_time = pace
    tasks = [get]  # noqa: RUF012 - locust declares a list


def main() -> None:
    """Run for the wanted time, write the rows, end."""
    chosen = Fast if settings["user"] == "fast" else Ordinary
    environment = locust.env.Environment(user_classes=[chosen], host=settings["url"])
    runner = environment.create_local_runner()
    before_s = time.process_time()
    runner.start(settings["users"], spawn_rate=settings["users"])
    print(json.dumps({"started": _now()}), flush=True)
    gevent.sleep(settings["seconds"])
    cpu_s = time.process_time() - before_s
    sent = list(rows)
    np.savez(settings["out"], rows=np.array(sent, dtype=np.int64), cpu_s=cpu_s)
    print(json.dumps({"done": len(sent)}), flush=True)
    os._exit(0)


main()
