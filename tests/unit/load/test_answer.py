"""HTTP answers byte by byte: whole, cut short, or not HTTP; however the bytes are split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from load.answer import BODY_KEPT, Answer, Heads, MalformedError

WHOLE = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Version: v1\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
    "tiny-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n",
    "no-reason": b"HTTP/1.1 503\r\ncontent-length: 0\r\n\r\n",
}
BODIES = {"length": b"hello", "chunked": b"hello", "interim": b"hello", "tiny-chunks": b"hello"}
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"


def feed(data: bytes, *, step: int = 1, answer: Answer | None = None) -> tuple[Answer, bool]:
    answer = answer or Answer([b"x-version"])
    whole = False
    for i in range(0, len(data), step):
        assert not whole, "whole before its last byte"
        whole = answer.feed(data[i : i + step])
    return answer, whole


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_whole_answers_end_at_their_last_byte(name: str, step: int) -> None:
    answer, whole = feed(WHOLE[name], step=step)
    assert whole
    assert answer.reusable
    assert answer.body == BODIES.get(name, b"")


@pytest.mark.parametrize("name", WHOLE)
def test_anything_shorter_is_cut_short(name: str) -> None:
    for length in range(1, len(WHOLE[name])):
        answer, whole = feed(WHOLE[name][:length], step=5)
        assert not whole
        assert not answer.end()


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    answer, whole = feed(UNTIL_CLOSE)
    assert not whole
    assert answer.end()
    assert answer.body == b"hello"
    assert not answer.reusable


def test_an_answer_to_head_has_no_body() -> None:
    _, whole = feed(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", answer=Answer(head_only=True))
    assert whole


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"S",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n X: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
    ],
)
def test_what_is_not_http_is_said_to_be_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        feed(data, step=len(data))


def test_a_header_may_go_on_in_the_next_line() -> None:
    data = b"HTTP/1.1 200 OK\r\nX-A: a\r\n\tContent-Length: 9\r\nX-Version: v1\r\n  of b\r\nContent-Length: 2\r\n\r\nhi"
    answer, whole = feed(data)
    assert (whole, answer.body, answer.headers) == (True, b"hi", {b"x-version": b"v1 of b"})


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\n", True),
    ],
)
def test_whether_the_connection_can_be_used_again(head: bytes, reusable: bool) -> None:
    answer, whole = feed(head + b"Content-Length: 0\r\n\r\n")
    assert whole
    assert answer.reusable is reusable


def test_surplus_bytes_spoil_the_connection() -> None:
    answer, whole = feed(WHOLE["length"] + b"x", step=10_000)
    assert whole
    assert not answer.reusable


def test_a_huge_body_is_counted_and_not_kept() -> None:
    size = BODY_KEPT * 2
    answer, whole = feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size, step=100_000)
    assert whole
    assert len(answer.body) == BODY_KEPT


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_ever_crash_the_reader(data: bytes, step: int) -> None:
    answer = Answer()
    try:
        for i in range(0, len(data), step):
            if answer.feed(data[i : i + step]):
                break
    except MalformedError:
        pass


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_head_that_is_known_means_the_same_again(name: str, step: int) -> None:
    heads: Heads = {}
    seen = [feed(WHOLE[name], step=step, answer=Answer([b"x-version"], heads=heads))[0] for _ in range(3)]
    said = [(one.status, one.reusable, one.headers, one.body) for one in seen]
    assert said == said[:1] * 3
    assert len(heads) == 1


def test_heads_that_all_differ_are_not_kept_for_ever() -> None:
    heads: Heads = {}
    for number in range(1000):
        answer, whole = feed(
            b"HTTP/1.1 200 OK\r\nX-Version: v%d\r\nContent-Length: 0\r\n\r\n" % number,
            step=100, answer=Answer([b"x-version"], heads=heads),
        )  # fmt: skip
        assert whole
        assert answer.headers == {b"x-version": b"v%d" % number}
    assert len(heads) <= 64


def test_bytes_after_an_answer_spoil_the_connection_not_the_known_head() -> None:
    heads: Heads = {}
    spoilt, _ = feed(WHOLE["length"] + b"more", step=10_000, answer=Answer(heads=heads))
    assert not spoilt.reusable
    assert feed(WHOLE["length"], step=10_000, answer=Answer(heads=heads))[0].reusable
