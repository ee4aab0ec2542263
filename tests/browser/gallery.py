"""`make gallery`: pictures of four runs' pages for docs/gallery/, each at most 300 kB, and the page that shows them.

The runs are stored histories, so that the pictures can be made again from what the code says today.
usage: python -m tests.browser.gallery [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.browser import tools
from tests.browser.pages import HISTORIES, RUNS, Run, made

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "gallery"
BYTES_MAX = 300_000
_WINDOW = {"width": 1200, "height": 1300}
_QUALITIES = (80, 65, 50, 35)
_SAID = {
    "pass": "Everything held: release, drift and rollback on the lab.",
    "fail": "Requests were lost while old pods went: the first cause is at the top, its change as a patch below.",
    "inconclusive": "The load generator stood still: nothing is claimed about the app, and it says why.",
    "chaos": "A node was lost: fault, effect, recovery and undo on one axis.",
}


def main() -> int:
    """0 if all pictures were made and are small enough; 3 where no page can be opened here."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if why := tools.why_not():
        print(f"SKIPPED: {why}")
        return 3
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as under, tools.browser() as chromium:
        runs = [made(name, Path(under)) for name in RUNS]
        sizes = {run.name: picture(chromium, run, folder / f"{run.name}.jpg") for run in runs}
        (folder / "README.md").write_text(page(runs))
    for name, size in sizes.items():
        print(f"{folder / name}.jpg: {size:,} bytes")
    return 0 if max(sizes.values()) <= BYTES_MAX else 1


def picture(chromium: Any, run: Run, path: Path) -> int:
    """The first screens of the page, in light; its size in bytes, which decides how much is compressed."""
    window = chromium.new_page(viewport=_WINDOW, color_scheme="light")
    window.set_default_timeout(tools.PATIENCE_MS)
    window.goto(run.page.as_uri(), timeout=tools.PATIENCE_MS)
    for quality in _QUALITIES:
        window.screenshot(path=path, type="jpeg", quality=quality)
        if path.stat().st_size <= BYTES_MAX:
            break
    window.close()
    return path.stat().st_size


def page(runs: list[Run]) -> str:
    """docs/gallery/README.md."""
    parts = [
        "# Gallery: what a report looks like\n",
        "Made by `make gallery` from stored runs (`tests/histories/`); do not edit.\n",
    ]
    for run in runs:
        result, cause = run.verdicts["result"], next(iter(run.verdicts["causes"]), None)
        named = f" First cause: `{cause['code']}`." if cause else ""
        origin = (HISTORIES / RUNS[run.name]).relative_to(HISTORIES.parents[1])
        parts.append(
            f"## {'CHAOS, ' if run.name == 'chaos' else ''}{result}\n\n{_SAID[run.name]}{named} From `{origin}`.\n"
        )
        parts.append(f"![the report of a run that ended {result}]({run.name}.jpg)\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
