"""Outside text, made visible."""

from __future__ import annotations

from rollproof.core.visible import printable, visible


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert visible("a\x1b[31m\n\tb\u202e\x9b\U000e0041") == "a\\x1b[31m\n\tb\\u202e\\x9b\\U000e0041"


def test_one_printable_line_of_bounded_length() -> None:
    assert printable("a\x1b[31m\n\u202eb\x9b") == "a\\x1b[31m\\n\\u202eb\\x9b"
    assert printable("ü\n€") == "ü\\n€"
    assert printable("x" * 100_000) == "x" * 600 + "..."
    assert printable("x" * 600) == "x" * 600
    assert printable("abcdef", length_max=3) == "abc..."
