from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint import apikey


def test_a_key_has_the_documented_form_and_its_digest_is_of_the_whole_of_it() -> None:
    new = apikey.create()
    assert re.fullmatch(rf"hp_{new.id}_[0-9A-Za-z]{{38}}", new.text)
    assert len(new.id) == 8
    assert new.digest == hashlib.sha256(new.text.encode()).hexdigest() == apikey.digest(new.text)
    assert apikey.key_id(new.text) == new.id


@pytest.mark.promise(8)
def test_the_key_is_not_in_the_representation_of_what_carries_it() -> None:
    new = apikey.create()
    assert new.text not in repr(new)


def test_two_keys_differ() -> None:
    assert apikey.create().text != apikey.create().text


@given(position=st.integers(min_value=12, max_value=49), letter=st.sampled_from("0aA9zZ"))
def test_a_mistyped_key_is_noticed_without_asking_anybody(position: int, letter: str) -> None:
    text = apikey.create().text
    mistyped = text[:position] + letter + text[position + 1 :]
    assert (apikey.key_id(mistyped) is None) == (mistyped != text)


@pytest.mark.parametrize(
    "text", ["", "hp_", "hp_abcd1234_short", "sk-123", "hp_abcd1234_" + "a" * 38, "hp_ABCD1234_" + "a" * 38]
)
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert apikey.key_id(text) is None


def test_a_key_with_something_behind_it_is_no_key() -> None:
    assert apikey.key_id(apikey.create().text + "\n") is None


DOCS = (Path(__file__).parent.parent.parent / "docs" / "keys.md").read_text()


def test_scanners_find_a_key_wherever_it_stands_and_nothing_that_only_looks_like_one() -> None:
    assert f"\n{apikey.PATTERN}\n" in DOCS
    text = apikey.create().text
    for leak in (f'key="{text}"', f"Authorization: Bearer {text}\n", f"https://x/?k={text}&y", f"{text},{text}"):
        assert set(re.findall(apikey.PATTERN, leak)) == {text}
    for other in ("sk-" + "a" * 48, "ghp_" + "a" * 36, text[:-1], text.replace("hp_", "hp-"), text.upper()):
        assert re.search(apikey.PATTERN, other) is None


def test_the_check_in_the_docs_is_the_check_in_the_code() -> None:
    code = re.search(r"```python\n(def is_holdpoint_key.*?)```", DOCS, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {"zlib": zlib}
    exec(code[1], names)  # noqa: S102 - the project's own documentation
    text = apikey.create().text
    assert names["is_holdpoint_key"](text)
    assert not names["is_holdpoint_key"](text[:-1] + ("a" if text[-1] != "a" else "b"))


@pytest.mark.parametrize(
    ("text", "mistyped"),
    [("hp_", True), ("hp_abcd1234_short", True), ("", False), ("sk-123", False), ("eyJhbGciOi.a.b", False)],
)
def test_what_is_meant_to_be_a_key_and_is_none(text: str, mistyped: bool) -> None:
    assert apikey.is_mistyped(text) is mistyped
    assert not apikey.is_mistyped(apikey.create().text)


@pytest.mark.promise(8)
def test_an_id_is_found_in_an_id_and_in_a_key_and_never_a_secret() -> None:
    new = apikey.create()
    for text in (new.id, new.text, f" {new.text}\n", f"hp_{new.id}", f"{new.id}_x"):
        assert apikey.id_in(text) == new.id
    for text in (new.text.rsplit("_", 1)[1], "", "hp_", "hp__", "ABCD1234", "abcd12345", "ab cd1234"):
        assert apikey.id_in(text) is None
