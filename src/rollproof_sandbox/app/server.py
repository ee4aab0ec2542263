"""The script of a pod's process: `python -S -E server.py`, settings as one JSON line on stdin (see `pod.py`)."""

import os.path
import sys
import time

BORN_S = time.monotonic()
sys.path[0] = os.path.abspath(__file__ + "/../../..")  # noqa: PTH100 - pathlib takes longer than all the rest

from rollproof_sandbox.app.pod import main  # noqa: E402 - the path comes first

main(BORN_S)
