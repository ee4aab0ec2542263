"""The page in a real Chromium: nothing complains, it is readable everywhere, its numbers are those that were judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.browser.pages import Run
from tests.browser.tools import AXE, PATIENCE_MS

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}


@contextmanager
def opened(chromium: Any, run: Run, **how: Any) -> Iterator[Any]:
    """The page in a window of its own; what the console or an exception says fails the test."""
    said: list[str] = []
    window = chromium.new_page(**{"viewport": WIDE, **how})
    window.set_default_timeout(PATIENCE_MS)
    window.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    window.on("pageerror", lambda error: said.append(str(error)))
    window.on("request", lambda one: None if one.url.startswith("file:") else said.append(f"asks for {one.url}"))
    try:
        window.goto(run.page.as_uri(), timeout=PATIENCE_MS)
        yield window
    finally:
        window.close()
    assert said == []


def paper(window: Any) -> int:
    """How bright the page's background is, 0 to 255."""
    colour = window.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return (red + green + blue) // 3


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280 px", "400 px"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable(chromium: Any, run: Run, scheme: str, size: dict[str, int]) -> None:
    """By preference light or dark, and no wider than the window: only tables and pictures scroll in themselves."""
    with opened(chromium, run, color_scheme=scheme, viewport=size) as window:
        assert (paper(window) > 200) is (scheme == "light")
        assert window.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert window.locator("h1").is_visible()


def test_it_prints_in_light(chromium: Any, run: Run) -> None:
    with opened(chromium, run, color_scheme="dark") as window:
        window.emulate_media(media="print")
        assert paper(window) > 200
        assert not window.locator("nav").first.is_visible()
        assert window.locator("#verdicts").is_visible()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_its_numbers_are_those_that_were_judged(chromium: Any, run: Run, *, script: bool) -> None:
    with opened(chromium, run, java_script_enabled=script) as window:
        top = words(window.locator("header.top").text_content())
        assert run.verdicts["result"] in top
        assert f"Exit {run.verdicts['exit_code']}:" in top
        if run.verdicts["causes"]:
            assert run.verdicts["causes"][0]["code"] in top
        shown = words(window.locator("main").text_content())
        for verdict in run.verdicts["verdicts"]:
            assert words(verdict["why"]) in shown
        rows = window.locator(".verdict").evaluate_all("all => all.map(one => one.dataset.result)")
        judged = sorted(one["result"] for one in run.verdicts["verdicts"] if one["checker"] != "posture")
        assert sorted(rows) == judged
        cells = window.locator(".verdict .numbers span").all_text_contents()
        stored = [
            pair for one in run.verdicts["verdicts"] if one["checker"] != "posture" for pair in one["numbers"].items()
        ]
        assert sorted(map(pair_of, cells)) == sorted((key, rounded(value)) for key, value in stored)


def pair_of(cell: str) -> tuple[str, str]:
    """A number's name and its value, as it is compared."""
    key, _, value = words(cell).partition(" ")
    try:
        return key, rounded(float(value.replace(",", "")))
    except ValueError:
        return key, value


def rounded(value: object) -> str:
    """Six digits, as the page has them."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{float(str(value)):.6g}" if is_number else str(value)


def test_the_way_by_keyboard(chromium: Any, run: Run) -> None:
    """Tab reaches links; a timeline zooms by + and Esc, arrows walk its bars, Enter leads to the bar's event."""
    with opened(chromium, run) as window:
        window.keyboard.press("Tab")
        assert window.evaluate("document.activeElement.tagName") == "A"
        timeline = window.locator(".tl").first
        timeline.focus()
        for key in ("+", "+", "ArrowRight"):
            window.keyboard.press(key)
        assert "=" in window.evaluate("location.hash")
        window.keyboard.press("Escape")
        assert window.evaluate("location.hash") == ""
        for _ in range(4):
            window.keyboard.press("ArrowDown")
        window.keyboard.press("Enter")
        window.wait_for_function("/^#e\\d+$/.test(location.hash)")


def test_a_filter_is_in_the_address_and_survives_a_reload(chromium: Any, run: Run) -> None:
    with opened(chromium, run) as window:
        chip = window.locator("[data-by=result]").first
        chip.click()
        shown = window.locator(".verdict:visible").count()
        assert shown == sum(one["result"] == chip.get_attribute("data-value") for one in run.verdicts["verdicts"])
        window.reload()
        assert window.locator(".verdict:visible").count() == shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(chromium: Any, run: Run, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip(f"axe-core is not at {AXE}: `make test-browser` fetches it from npm")
    with opened(chromium, run, color_scheme=scheme) as window:
        window.evaluate(AXE.read_text())
        found = window.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        bad = [
            f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found if one["impact"] in ("serious", "critical")
        ]  # fmt: skip
        assert bad == []
