"""The script of the ingress process: `python -S -E proxy.py`, settings as one JSON line on stdin (see `worker.py`)."""

import os.path
import sys

sys.path[0] = os.path.abspath(__file__ + "/../../..")  # noqa: PTH100 - pathlib takes longer than all the rest

from rollproof_sandbox.ingress.worker import main  # noqa: E402 - the path comes first

main()
