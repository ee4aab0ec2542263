"""A generator that lies as ordinary client libraries do: a request that got no answer is sent once more, in secret."""

import locust  # noqa: F401 - the first import of the process

# isort: split
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from load.client import Attempt, Connection
from load.engine import main


class Retrying(Connection):
    """Reports the second attempt as if it had been the only one."""

    def run(self, request: bytes, attempt: Attempt) -> None:
        super().run(request, attempt)
        if attempt.error in ("read.eof", "read.ECONNRESET") and attempt.reused:
            again = Attempt(attempt.k, attempt.intended_ns)
            super().run(request, again)
            for name in Attempt.__slots__:
                setattr(attempt, name, getattr(again, name))


main(Retrying)
