"""An entry under `images:`, as people write it: what can be changed, how, and what is refused with the true reason."""

from __future__ import annotations

import time

import pytest
import yaml
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from rollproof.clients.overlay import data_value, decoded, find_entry, is_text, with_data, with_tag, without_data
from rollproof.errors import InputError

PATH, IMAGE = "overlays/dev/kustomization.yaml", "ghcr.io/shop/web"
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


def text(value: str, more: str = "") -> str:
    return f"# ours\nimages:\n- name: {IMAGE}  # the app\n  newTag: {value}\n{more}"


def read_by_all(written: str) -> list[object]:
    """The tag as readers of YAML 1.1 and 1.2 take it."""
    readers = [yaml.safe_load(written)]
    for version in ("1.1", "1.2"):
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        readers.append(reader.load(written))
    return [document["images"][0]["newTag"] for document in readers]


@pytest.mark.parametrize("before", ["abc", "'abc'", '"abc"', "1.11", "abc   # set by CI"])
@given(tag=TAGS)
@examples(15)
@example(tag="1.10")
@example(tag="2026-11-28")
@example(tag="1_000")
@example(tag="1e3")
@example(tag="true")
@example(tag="null")
@example(tag="Null")
@example(tag="NO")
@example(tag="y")
@example(tag="0x1f")
@example(tag="0777")
@example(tag="0o17")
@example(tag="0b101")
@example(tag="12e4567")
@example(tag="1234567")
@example(tag="nan")
@example(tag="1.")
@example(tag="1_")
def test_e14_every_tag_is_written_as_a_text_for_every_reader(before: str, tag: str) -> None:
    written = with_tag(PATH, text(before), IMAGE, tag)
    assert read_by_all(written) == [tag] * 3
    assert find_entry(PATH, written, IMAGE).tag == tag
    assert written.count("\n") == text(before).count("\n")
    assert ("# set by CI" in written) == ("# set by CI" in before)


def test_e14_a_sha_that_cannot_be_mistaken_stays_without_quotes() -> None:
    assert is_text("1a2b3c4")
    assert not is_text("12e4567")
    assert with_tag(PATH, text("abc  # why"), IMAGE, "1a2b3c4") == text("1a2b3c4  # why")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(text("abc") + "---\n", text("bbb") + "---\n", id="trailing document mark"),
        pytest.param("---\n" + text("abc"), "---\n" + text("bbb"), id="leading document mark"),
        pytest.param(text("abc") + "...\n", text("bbb") + "...\n", id="end of document"),
        pytest.param("\ufeff" + text("abc"), "\ufeff" + text("bbb"), id="byte order mark"),
        pytest.param(text("abc").replace("\n", "\r\n"), text("bbb").replace("\n", "\r\n"), id="CRLF"),
        pytest.param(text("abc")[:-1], text("bbb")[:-1], id="no last line end"),
        pytest.param("# é 😀\n" + text("abc"), "# é 😀\n" + text("bbb"), id="letters of two and four bytes"),
        pytest.param(
            f"images: [{{newTag: abc, name: {IMAGE}}}]\n", f"images: [{{newTag: bbb, name: {IMAGE}}}]\n", id="flow"
        ),
        pytest.param(
            f"a: &n {IMAGE}\nimages:\n- newTag: abc\n  name: *n\n",
            f"a: &n {IMAGE}\nimages:\n- newTag: bbb\n  name: *n\n", id="a name by an alias",
        ),
        pytest.param(
            f'images:\n- "name": {IMAGE}\n  "newTag": abc\n', f'images:\n- "name": {IMAGE}\n  "newTag": bbb\n',
            id="quoted keys",
        ),
    ],
)  # fmt: skip
def test_e14_all_else_stays_as_it_is(before: str, after: str) -> None:
    assert with_tag(PATH, before, IMAGE, "bbb") == after


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (text("&tag abc", "- name: other\n  newTag: *tag\n").replace("other\n", "other\n", 1), "an anchor"),
        (f"x: &t abc\nimages:\n- name: {IMAGE}\n  newTag: *t\n", "an alias"),
        (f"x: &t {{newTag: abc}}\nimages:\n- name: {IMAGE}\n  <<: *t\n", "a merge key"),
        (text("!!str abc"), "a YAML type"),
        (text("|\n    abc"), "a block"),
        (text('"a\\x62c"'), "with escapes"),
    ],
)
def test_e14_what_cannot_be_changed_in_place_is_refused_with_the_true_reason(before: str, reason: str) -> None:
    with pytest.raises(InputError, match=r"line \d cannot be changed safely") as caught:
        with_tag(PATH, before, IMAGE, "bbb")
    assert reason in caught.value.hint
    assert "block style" not in caught.value.hint


def test_a9_a_digest_beside_the_tag_is_refused_because_it_decides_what_runs() -> None:
    both = text("abc", f"  digest: sha256:{'0' * 64}\n")
    assert find_entry(PATH, both, IMAGE).tag == "abc", "it can be read: a pipeline may set both"
    with pytest.raises(InputError, match="the digest decides which image runs"):
        with_tag(PATH, both, IMAGE, "bbb")


@pytest.mark.parametrize("empty", ['""', "null", "~", ""])
def test_a9_an_empty_digest_is_none(empty: str) -> None:
    assert "newTag: bbb" in with_tag(PATH, text("abc", f"  digest: {empty}\n"), IMAGE, "bbb")


def test_e2_the_image_is_pulled_by_its_new_name() -> None:
    assert find_entry(PATH, text("abc", "  newName: registry.example.com/mirror/web\n"), IMAGE).image == (
        "registry.example.com/mirror/web"
    )
    assert find_entry(PATH, text("abc"), IMAGE).image == IMAGE


BOMB = "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9) if n else 'lol'}]\n" for n in range(12))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("", "no image", id="empty"),
        pytest.param("images:\n", "no image", id="images null"),
        pytest.param("resources: []\n", "no image", id="no images"),
        pytest.param(f"images: {IMAGE}\n", "must be a list of maps.*it is a text", id="images a text"),
        pytest.param(f"images: {{{IMAGE}: abc}}\n", "must be a list of maps.*it is a map", id="images a map"),
        pytest.param(f"images:\n- {IMAGE}:abc\n", "must be a list of maps.*an item of it is a text", id="texts"),
        pytest.param(f"images:\n- [{IMAGE}, abc]\n", "an item of it is a list", id="lists"),
        pytest.param(text("[abc]"), "newTag is a list", id="tag a list"),
        pytest.param(text("{a: b}"), "newTag is a map", id="tag a map"),
        pytest.param(text(""), "no image .* with a newTag", id="tag null"),
        pytest.param(text("abc", "  newTag: b\n"), "says `newTag:` a second time", id="tag twice"),
        pytest.param(text("abc", f"- name: {IMAGE}\n  newTag: b\n"), "2 times", id="entry twice"),
        pytest.param(f"images:\n- name: {IMAGE}\n  digest: sha256:1\n", "only a digest", id="only a digest"),
        pytest.param("- a\n", "is a list and no map", id="a list"),
        pytest.param("just words\n", "is a scalar and no map", id="a text"),
        pytest.param(text("abc") + "---\na: b\n", "has 2 YAML documents", id="two documents"),
        pytest.param("images: [\n", "is not YAML", id="broken"),
        pytest.param("a: *nowhere\n", "an anchor that is not there|is not YAML", id="alias to nowhere"),
        pytest.param("a: &a {<<: *a}\nimages: *a\n", "images", id="merges itself"),
        pytest.param("x: &x {<<: *x}\n<<: *x\n", "no image", id="merges itself at the top"),
        pytest.param("a: \x00\n", "is not YAML", id="NUL"),
        pytest.param("a: \x1b[31m\n", "is not YAML", id="escape"),
        pytest.param("[" * 100_000, "nest", id="deep flow"),
        pytest.param("- " * 50_000 + "a\n", "nested|is not YAML", id="deep block"),
        pytest.param(BOMB, "no image", id="alias bomb"),
        pytest.param("? " * 5_000 + "a\n", "nested|is not YAML", id="deep keys"),
    ],
)
def test_d5_a_strange_file_is_one_clear_message(content: str, said: str) -> None:
    """D4 too: nothing is expanded, and depth is bounded."""
    begun_s = time.process_time()
    with pytest.raises(InputError, match=said) as caught:
        find_entry(PATH, content, IMAGE)
    assert len(str(caught.value)) < 600
    assert "\x1b" not in str(caught.value)
    assert time.process_time() - begun_s < 5, "bounded, by a wide margin"


def test_d5_a_merge_key_can_bring_all_but_the_tag() -> None:
    merged = f"x: &x {{name: {IMAGE}, newName: y}}\nimages:\n- <<: *x\n  newTag: abc\n"
    assert find_entry(PATH, merged, IMAGE).image == "y"
    assert with_tag(PATH, merged, IMAGE, "bbb") == merged.replace("abc", "bbb")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_d5_another_encoding_is_named(encoding: str) -> None:
    with pytest.raises(InputError, match=r"is not UTF-8|is not YAML"):
        find_entry(PATH, decoded(PATH, f"# é\n{text('abc')}".encode(encoding)), IMAGE)


@given(content=st.text(st.characters(codec="utf-8"), max_size=60) | st.text("-:&*<>[]{}'\"|!# \nab", max_size=60))
@examples(150)
def test_d5_no_text_is_more_than_a_clear_message(content: str) -> None:
    for whole in (content, f"images:\n- name: {IMAGE}\n  newTag: {content}\n"):
        try:
            written = with_tag(PATH, whole, IMAGE, "bbb")
        except InputError:
            continue
        assert find_entry(PATH, written, IMAGE).tag == "bbb"


DATA = "kind: ConfigMap\ndata:  # of dev\n  # its zone\n  ZONE: UTC\n  MORE: |\n    a\n"


def test_a_key_is_added_first_under_data_and_taken_out_again() -> None:
    changed = with_data("c.yaml", DATA, "MARK", "12")
    assert changed == DATA.replace("  ZONE", '  MARK: "12"\n  ZONE')
    assert data_value("c.yaml", changed, "MARK") == "12"
    assert without_data("c.yaml", changed, "MARK", "12") == DATA
    with pytest.raises(InputError, match="not as it was written"):
        without_data("c.yaml", changed.replace('"12"', "'12'"), "MARK", "12")
    with pytest.raises(InputError, match="no key MARK can be added"):
        with_data("c.yaml", changed, "MARK", "13")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: {ZONE: UTC}\n", "no key MARK can be added"),
        ("data:\n", "no `data:`"),
        ("binaryData: {}\n", "no `data:`"),
    ],
)
def test_a_manifest_that_takes_no_key_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        with_data("c.yaml", text, "MARK", "12")
