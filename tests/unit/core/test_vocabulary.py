"""Every word of the timeline: tests/golden/core/vocabulary.txt. Without one that goes stored runs cannot be judged."""

from __future__ import annotations

from collections.abc import Callable

from rollproof.core.vocabulary import WORDS


def test_the_words_of_each_kind_of_subject(golden: Callable[[str, str], None]) -> None:
    rows = [f"{source} {subject}: {', '.join(sorted(words))}" for (source, subject), words in sorted(WORDS.items())]
    golden("core/vocabulary.txt", "\n".join(rows))
