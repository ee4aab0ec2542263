"""The search for secrets: each form is found, each canary is found, and no value leaves it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

import pytest
from recorder import ListRecorder

from rollproof.core.secretsearch import Place, SearchWord
from rollproof.errors import OutsideDataError
from rollproof.probes import secretsearch
from rollproof.probes.secretsearch import SecretSearch, canary_objects, texts_of_objects

VALUE, OTHER = 'p/w"9 Kq-27xT', "another-value-77"
FORMS = {
    "exact": VALUE,
    "inside": f"password={VALUE};",
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 of a longer text": base64.b64encode(f"user:{VALUE}:x".encode()).decode(),
    "url": f"mysql://shop:{quote(VALUE, safe='')}@db",
    "json": json.dumps({"password": VALUE}),
    "json in json": json.dumps({"applied": json.dumps({"data": base64.b64encode(VALUE.encode()).decode()})}),
    "hex": VALUE.encode().hex(),
}


def looked(texts: Iterable[tuple[str, str]], *, planted: int = 0) -> ListRecorder:
    recorder = ListRecorder()
    search = SecretSearch({"shop/A": VALUE, "shop/B": OTHER}, recorder)
    search.look(Place.OBJECTS, texts, planted=planted)
    search.tell()
    return recorder


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_each_form_is_found_and_not_told(text: str) -> None:
    recorder = looked([("here", "nothing"), ("there", text)])
    known, told = recorder.events
    assert told.data["found"] == 1
    (hit,) = told.data["hits"]
    (name,) = [name for name in known.data["names"] if name.startswith("shop/A#")]
    assert hit == f"{name} in there"
    said = json.dumps([event.data for event in recorder.events])
    assert all(form not in said for form in FORMS.values())


def test_what_looks_like_a_secret_is_registered_at_once_also_where_reading_breaks_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thousand of them, one by one, made the index of all of them a thousand times."""
    added: list[set[str]] = []

    class Register:
        def add(self, values: Iterable[str]) -> None:
            added.append({*values})

    def texts() -> Iterable[tuple[str, str]]:
        yield "git", " ".join(f"ghp_{number:036d}" for number in range(50))
        raise OutsideDataError("cut off")

    monkeypatch.setattr(secretsearch, "SECRETS", Register())
    with pytest.raises(OutsideDataError):
        looked(texts())
    assert [len(values) for values in added] == [50]


def test_what_is_not_there_is_not_found() -> None:
    told = looked([("here", VALUE[:-1]), ("there", OTHER.upper())]).events[-1].data
    assert (told["found"], told["hits"], told["texts"]) == (0, [], 2)


def test_two_values_in_one_text_and_the_same_hash_for_the_same_value() -> None:
    told = looked([("one", f"{VALUE} {OTHER}"), ("two", VALUE)]).events[-1].data
    assert told["found"] == 3
    assert told["hits"][0].partition(" ")[0] == told["hits"][2].partition(" ")[0]
    assert told["hits"][0].partition(" ")[0] != told["hits"][1].partition(" ")[0]


def test_hashes_are_salted() -> None:
    first, second = (looked([]).events[0].data["names"] for _ in range(2))
    assert first != second


def test_values_that_cannot_be_looked_for() -> None:
    recorder = ListRecorder()
    values = {"shop/SHORT": "abc12", "shop/NUMBER": "1234567", "shop/WORD": "deployment", "shop/GOOD": VALUE}
    SecretSearch(values, recorder)
    assert [name.partition("#")[0] for name in recorder.events[0].data["names"]] == ["shop/GOOD"]
    assert list(recorder.events[0].data["unsearchable"]) == ["shop/SHORT", "shop/NUMBER", "shop/WORD"]


@pytest.mark.parametrize("place", [Place.OBJECTS, Place.EVENTS, Place.APPLICATION])
def test_every_canary_of_a_place_is_found(place: Place) -> None:
    recorder = ListRecorder()
    search = SecretSearch({"shop/A": VALUE}, recorder)
    planted = canary_objects(place, search.canary)
    assert search.look(place, texts_of_objects(planted), planted=len(planted)) == (len(planted), 0)
    search.tell(cut="so")
    told = recorder.events[-1]
    assert (told.what, told.data["planted_found"], told.data["cut"]) == (SearchWord.SEARCHED, len(planted), "so")


def test_a_search_that_finds_nothing_is_known_by_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secretsearch.Redactor, "holds", lambda *_: False)
    recorder = ListRecorder()
    search = SecretSearch({"shop/A": VALUE}, recorder)
    assert search.look(Place.EVENTS, texts_of_objects(canary_objects(Place.EVENTS, search.canary)), planted=1)[0] == 0


def test_placeholders() -> None:
    recorder = ListRecorder()
    search = SecretSearch({}, recorder)
    search.compare({"shop/A": "x1", "shop/B": OTHER}, {"shop/A": "x1\n", "shop/B": "<b>", "shop/C": "x1"})
    assert recorder.events[-1].data == {"checked": 2, "hits": ["shop/A"], "found": 1, "reason": ""}


def test_the_places_of_an_objects_texts() -> None:
    item = {"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"env": [{"value": "v"}]}]}}
    assert ("Pod/web spec.containers.env.value", "v") in list(texts_of_objects([item]))
