from __future__ import annotations

import hashlib
import re

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
