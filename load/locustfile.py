"""The load as an ordinary locustfile: `locust -f load/locustfile.py --headless -t 30s --host http://127.0.0.1:8080`.

One user dispatches all requests on a fixed schedule; locust counts them, shows them and writes its HTML report. The
numbers of a verdict come from the record that `engine.py` writes, not from here.
"""

import locust  # the first import of the process: it patches sockets, which fails after requests or kubernetes

# isort: split
import sys
import tempfile
from pathlib import Path

import gevent

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from load.dispatcher import Dispatcher
from load.lanes import Lane, Settings

__all__ = ["OpenLoop", "PreparedEnvironment"]


class PreparedEnvironment(locust.env.Environment):
    """The environment of a session that the engine has prepared; locust's own command line makes a plain one."""

    dispatcher: Dispatcher | None = None


def _arguments(parser: locust.argument_parser.LocustArgumentParser) -> None:
    group = parser.add_argument_group("rollproof")
    group.add_argument("--rate-per-s", type=float, default=200.0, help="requests a second over all lanes")
    group.add_argument("--timeout-s", type=float, default=5.0, help="total deadline of one request")
    group.add_argument("--get-path", default="/", help="path of the GET lanes")
    group.add_argument("--post-path", default="", help="path of a POST without side effects; empty: no POST lane")


def _look_at_the_clock(**_: object) -> None:
    gevent.get_hub().loop.update_now()  # else --run-time counts from before the imports, which may take as long


locust.events.init_command_line_parser.add_listener(_arguments)
locust.events.init.add_listener(_look_at_the_clock)


class OpenLoop(locust.User):
    """The one user that dispatches. More than one would only repeat the same schedule."""

    fixed_count = 1

    @locust.task
    def dispatch(self) -> None:
        """Run the session that the engine prepared, or one made from locust's command line."""
        environment = self.environment
        dispatcher = environment.dispatcher if isinstance(environment, PreparedEnvironment) else None
        if dispatcher is None:
            dispatcher = Dispatcher(_settings(environment), environment.stats)
        dispatcher.run()
        raise locust.exception.StopUser


def _settings(environment: locust.env.Environment) -> Settings:
    options = environment.parsed_options
    assert options is not None, "a plain environment comes from locust's command line, which sets parsed_options"
    base = (environment.host or "http://127.0.0.1:8080").rstrip("/")
    lanes = [
        Lane(name="keepalive-get", url=base + options.get_path, share=6),
        Lane(name="new-get", url=base + options.get_path, share=2, new_connection=True),
    ]
    if options.post_path:
        lanes.append(Lane(name="keepalive-post", url=base + options.post_path, method="POST", share=2))
    return Settings(
        lanes=tuple(lanes), rate_per_s=options.rate_per_s, timeout_s=options.timeout_s, max_duration_s=86_400.0,
        record=str(Path(tempfile.gettempdir()) / "unused.npz"),
    )  # fmt: skip
