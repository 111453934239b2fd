from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.policy.mask import Mask, Masks, mask, restore
from holdpoint.policy.patterns import keyword, pattern
from tests.holdpoint.policy.builders import policy, starved

MASKS = Masks(
    [
        Mask("card number", (pattern(r"\b\d{4}[ -]?\d{4}\b"),)),
        Mask("project", (keyword("orion"), keyword("apollo"))),
        Mask("account", (pattern(r"\d+-\d+"),)),
        Mask("token", (pattern(r"tok_\w+"),)),
    ]
)


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing here", "nothing here"),
        ("", ""),
        ("pay 1234 5678", "pay ⟦card number 1⟧"),
        ("1234-5678 and 8765-4321", "⟦card number 1⟧ and ⟦card number 2⟧"),
        ("1234-5678 and 1234-5678", "⟦card number 1⟧ and ⟦card number 1⟧"),
        ("Orion: 1234 5678", "⟦project 1⟧: ⟦card number 1⟧"),
        ("orion Orion", "⟦project 1⟧ ⟦project 2⟧"),
        ("o\u200brion", "⟦project 1⟧"),
        ("ｏｒｉｏｎ and orion", "⟦project 1⟧ and ⟦project 2⟧"),
        ("at 1234-5678!", "at ⟦card number 1⟧!"),  # also an account, but that mask comes later
        ("at 1234-5678-9", "at ⟦card number 1⟧-9"),
        ("at 12345-67", "at ⟦account 1⟧"),
    ],
)
def test_secrets_are_replaced_by_tokens_that_say_what_they_stand_for(text: str, shown: str) -> None:
    masked = mask(text, MASKS)
    assert masked.text == shown
    assert restore(masked.text, masked.originals) == text


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("パスワードA1 ﾊﾟｽﾜｰﾄﾞB2", "⟦word 1⟧ ⟦word 2⟧"),  # half-width, its voicing marks as characters of their own
        ("나라A1 ㄴㅏㄹㅏB2", "⟦word 1⟧ ⟦word 2⟧"),  # letter by letter
    ],
)
def test_a_secret_that_is_written_in_two_ways_is_masked_in_both(text: str, shown: str) -> None:
    masks = Masks([Mask("word", (pattern(r"(パスワード|나라)\S*"),))])
    masked = mask(text, masks)
    assert masked.text == shown
    assert restore(masked.text, masked.originals) == text


def test_a_token_that_the_text_has_already_is_not_used() -> None:
    masked = mask("⟦project 1⟧ is orion", MASKS)
    assert masked.text == "⟦project 1⟧ is ⟦project 2⟧"
    assert masked.originals == {"⟦project 2⟧": "orion"}


def test_an_edited_text_gets_its_secrets_back_wherever_they_went() -> None:
    masked = mask("send orion to 1234 5678", MASKS)
    assert (
        restore("to ⟦card number 1⟧ send ⟦project 1⟧, ⟦project 1⟧", masked.originals)
        == "to 1234 5678 send orion, orion"
    )


def test_what_is_put_in_is_not_looked_at_again() -> None:
    assert restore("⟦a 1⟧", {"⟦a 1⟧": "⟦b 1⟧", "⟦b 1⟧": "x"}) == "⟦b 1⟧"


@pytest.mark.parametrize("text", ["⟦", "⟦⟦a 1⟧", "⟧⟦a 1", "⟦unknown 1⟧"])
def test_brackets_that_are_no_token_stay(text: str) -> None:
    assert restore(text, {"⟦a 1⟧": "x"}) == text.replace("⟦a 1⟧", "x")


@pytest.mark.promise(8)
def test_a_text_that_cannot_be_inspected_is_masked_as_a_whole() -> None:
    masks = Masks([Mask("project", (keyword("orion"),))])
    starved(masks._patterns)
    masked = mask("about orion", masks)
    assert masked.text == "⟦text that could not be inspected 1⟧"
    assert restore(masked.text, masked.originals) == "about orion"


def test_a_policy_brings_its_masks() -> None:
    compiled = policy(
        "- {id: r, when: {stream: true}, verdict: block}",
        "version: 1\ndefaults: {verdict: allow}\nkeywords: {projects: [orion]}\n"
        "masks: [{name: project, keyword_sets: [projects], matches: ['x\\d']}]\n",
    )
    assert mask("orion x1", compiled.masks).text == "⟦project 1⟧ ⟦project 2⟧"


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["orion", "1234 5678", "tok_a", "⟦project 1⟧", "⟦card number 1⟧", "⟦", "⟧", "o\u200brion", " ", "é"]
        ),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)


@given(TEXTS)
def test_restoring_what_was_masked_gives_the_text_back(text: str) -> None:
    masked = mask(text, MASKS)
    assert restore(masked.text, masked.originals) == text


@pytest.mark.promise(8)
@given(TEXTS)
def test_no_secret_is_left_in_what_is_shown(text: str) -> None:
    shown = mask(text, MASKS).text
    plain = shown
    for token in mask(text, MASKS).originals:
        plain = plain.replace(token, "x")
    assert "orion" not in plain.lower().split()
