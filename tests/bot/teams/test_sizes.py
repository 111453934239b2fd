"""No card or dialog is larger than Teams takes, whatever a hold is; and what the request says is never shortened for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.answers import Answer, Table, inert
from bot.shared_views import DIGEST_LINES, BundleView, DigestView, digest_line
from bot.teams import render
from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, PEOPLE_BYTES, size_bytes
from holdpoint.model import Decision, DecisionKind, Edit, Hold, Reviewer, RuleHit, Span, State
from tests.bot.teams.surfaces import LINK, MASKS, SURFACES, Surface, hold_with, inlines_of, problems, seen, text_of
from tests.corpus import ATTACKS, MASSIVE
from tests.fakes.teams.cards import card_problems

ROOM = MOST_BYTES - ENVELOPE_BYTES
ESCAPES = {"escapes": '"\\\n\t' * 5_000, "a date each": "{{DATE(2020-01-01T00:00:00Z)}}" * 500}
EXTREMES = {**MASSIVE, **ESCAPES}


def assert_fits(surface: Surface) -> None:
    assert problems(surface) == []
    assert max(map(size_bytes, surface.cards)) <= ROOM


def crowded(text: str, state: State) -> Hold:
    """With fifty rules, two hundred decisions that edit, and thousands of matches."""
    hold = hold_with(text, state=state)
    spans = tuple(Span(part.path, at, at + 1) for part in hold.query.parts for at in range(0, 600, 2))
    hits = tuple(replace(hold.evaluation.hits[0], rule=f"{text}{n}", spans=spans) for n in range(50))
    edited = Decision(
        DecisionKind.APPROVE, text, text, (text,), "teams", 1, "d" * 64, "d" * 64, reason=text,
        edits=(Edit("messages/3/content", f"{text}2"),), before=(Edit("messages/3/content", text),),
    )  # fmt: skip
    last = hold.decisions[-1:]
    return replace(
        hold, evaluation=replace(hold.evaluation, hits=hits), decisions=(*([edited] * 200), *last),
        questions=hold.questions * 30, told=(("email", False), ("teams", False)),
    )  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES.keys())
def test_what_takes_more_room_than_its_characters_fits(surface: str, text: str) -> None:
    assert_fits(SURFACES[surface](hold_with(text)))


@pytest.mark.parametrize("state", [State.PENDING, State.REJECTED, State.FAILED])
@pytest.mark.parametrize("surface", ["card", "own", "may not decide", "dm", "bundle", "own bundle"])
@pytest.mark.parametrize("text", ["x", "x" * 300, "{{DATE(" * 60, '"\\\n' * 100, "😀" * 200])
def test_fifty_rules_and_two_hundred_decisions_fit(surface: str, state: State, text: str) -> None:
    assert_fits(SURFACES[surface](crowded(text, state)))


@pytest.mark.parametrize("line", ["x", "{{DATE(", '"', "😀", "\n"])
def test_a_prompt_of_ten_megabytes_fits(line: str) -> None:
    hold = hold_with("Dana")
    part = replace(hold.query.parts[3], text=line * (10_000_000 // len(line)))
    assert_fits(SURFACES["card"](replace(hold, query=replace(hold.query, parts=(part,)))))


@pytest.mark.parametrize("text", [*EXTREMES.values(), *ATTACKS.values()], ids=[*EXTREMES, *ATTACKS])
def test_full_lists_fit(text: str) -> None:
    view = seen(hold_with(text))
    lines = tuple(replace(digest_line(view), unread=True) for _ in range(DIGEST_LINES))
    assert size_bytes(render.digest_card(DigestView("b" * 26, lines, LINK, more=500))) <= ROOM
    bundle = BundleView("b" * 26, view, tuple(f"h{n:025}" for n in range(500)), tuple((state, 9) for state in State))
    assert size_bytes(render.bundle_card(bundle)) <= ROOM
    senders = [*view.senders, "stranger@example.com"]
    for person in (Reviewer(each, frozenset(), frozenset(), "teams") for each in senders):
        assert size_bytes(render.bundle_card_for(bundle, person, text)) <= ROOM
        assert size_bytes(render.digest_card_for(DigestView("b" * 26, lines, LINK, more=500), person, text)) <= ROOM


@pytest.mark.parametrize("text", EXTREMES.values(), ids=EXTREMES.keys())
def test_long_answers_fit(text: str) -> None:
    answer = Answer(True, (text,) * 30, cards=(seen(hold_with(text)),) * 9, text=text)
    for rows in (1, 5, 100):
        table = Table(("a", "b", "c"), ((text, text, text),) * rows)
        shown = inert(replace(answer, table=table), MASKS)
        assert size_bytes(render.answer_card(shown)) <= ROOM
        assert card_problems(render.answer_card(shown)) == []
    assert size_bytes(render.notice_card([text] * 30)) <= ROOM


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8") | st.sampled_from('{{"\\\n😀'), max_size=200),
    times=st.integers(1, 50),
    state=st.sampled_from(list(State)),
    surface=st.sampled_from(["card", "own", "dm", "bundle", "view full", "edit", "answer to a command"]),
)
def test_arbitrary_texts_fit(text: str, times: int, state: State, surface: str) -> None:
    assert_fits(SURFACES[surface](hold_with(text * times, state=state)))


@pytest.mark.promise(2)
@pytest.mark.parametrize("text", EXTREMES.values(), ids=EXTREMES.keys())
def test_the_passages_are_never_shortened_to_fit(text: str) -> None:
    """Who approves has seen what the view shows: the server counts on it."""
    view = seen(hold_with(text))
    blanks = str.maketrans("", "", " \u00a0\t")
    shown = "\0".join("".join(map(text_of, inlines)) for inlines in inlines_of(render.card(view))).translate(blanks)
    for part in view.parts:
        assert part.plain.translate(blanks) in shown


def test_an_ordinary_card_leaves_room_for_those_who_see_a_view_of_their_own() -> None:
    hold = hold_with("a name of some length")
    assert isinstance(hold.evaluation.hits[0], RuleHit)
    for state in State:
        assert size_bytes(render.card(seen(hold_with("a name of some length", state=state)))) <= ROOM - PEOPLE_BYTES
