"""What a card says of similar requests: one sentence of numbers and a date, the same at every drawing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.sentences import similar_sentence
from holdpoint.model import GrantScope, Hold, Requester, Similar, State, Tally
from holdpoint.store import Store
from holdpoint.visible import visible_line
from tests.support.builders import hold_in

OWN, GROUP = GrantScope.REQUESTER, GrantScope.GROUP
LAST_MS = 1_769_860_800_000  # 2026-01-31
SAM, KIM = Tally("sam@example.com", "Sam", 9), Tally("kim@example.com", "Kim", 3)


@pytest.fixture
async def pending(store: Store) -> Hold:
    return await hold_in(store, State.PENDING, gateway="g#1")


@pytest.mark.parametrize(
    ("similar", "sentence"),
    [
        (None, ""),
        (Similar(OWN), "No similar request in the 30 days before"),
        (
            Similar(OWN, 12, 2, 0, 0, (SAM, KIM), (replace(KIM, count=2),), LAST_MS),
            "Similar requests of Dana, 30 days: 12 approved (Sam 9, Kim 3), 2 rejected (Kim 2), the last one on 2026-01-31",
        ),
        (
            Similar(GROUP, 0, 0, 4, 1, last_ms=LAST_MS),
            "Similar requests of contractors and staff, 30 days: 4 expired, 1 cancelled, the last one on 2026-01-31",
        ),
        (
            Similar(OWN, 1000, approved_by=(Tally("x@y", "", 1000),), last_ms=LAST_MS, more=True),
            "Similar requests of Dana, the newest of 30 days: 1,000 approved (x@y 1,000), the last one on 2026-01-31",
        ),
    ],
)
async def test_the_sentence(pending: Hold, similar: Similar | None, sentence: str) -> None:
    requester = replace(pending.requester, groups=frozenset({"staff", "contractors"}))
    hold = replace(pending, similar=similar, requester=requester)
    assert similar_sentence(hold, clean=str) == sentence


async def test_who_has_no_name_is_named_by_the_principal(pending: Hold) -> None:
    agent = replace(pending, requester=Requester("build-bot", frozenset(), owner="dana@example.com"))
    sentence = similar_sentence(replace(agent, similar=Similar(OWN, expired=1, last_ms=LAST_MS)), clean=str)
    assert sentence.startswith("Similar requests of build-bot, 30 days: 1 expired")


@pytest.mark.promise(7)
async def test_names_are_cleaned(pending: Hold) -> None:
    odd = replace(SAM, name="S\u202eam\n")
    hold = replace(pending, similar=Similar(OWN, 1, approved_by=(odd,), last_ms=LAST_MS))
    assert "(S⟨U+202E⟩am⟨U+000A⟩ 9)" in similar_sentence(hold, clean=visible_line)
