"""What the browser tests need and where it is: Chromium, Playwright's client, axe-core. Missing ones skip, and say how.

Playwright drives the system's own Chromium: none is downloaded. `make test-browser` fetches axe-core from npm.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

AXE = Path(__file__).resolve().parents[2] / "build" / "browser" / "package" / "axe.min.js"
PATIENCE_MS = 60_000  # of each step: a busy machine is slow, and nothing here measures time
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As root there is no sandbox; /dev/shm is small in containers.
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb")


def chromium() -> str:
    """The browser's path (`ROLLPROOF_CHROMIUM`, else on PATH); "" if there is none."""
    named = os.environ.get("ROLLPROOF_CHROMIUM", "")
    return named or next((path for name in _NAMES if (path := shutil.which(name))), "")


def why_not() -> str:
    """Why no page can be opened here; "" if one can."""
    if not chromium():
        return "there is no Chromium: install the package chromium, or name one in ROLLPROOF_CHROMIUM"
    try:
        importlib.import_module("playwright.sync_api")
    except ImportError as error:
        return f"Playwright cannot be imported ({error}): pip install 'rollproof[browser]'"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    api = importlib.import_module("playwright.sync_api")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS), timeout=3 * PATIENCE_MS)
        try:
            yield opened
        finally:
            opened.close()
