"""What the cards of Teams say and offer, to whom, in every state; and that Teams takes them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft6Validator
from jsonschema.exceptions import best_match

from bot.answers import Answer, Table
from bot.cards import Action, card_view
from bot.commands import TABLE
from bot.shared_views import DIGEST_LINES, BundleView, DigestLine, DigestView, digest_line
from bot.teams import render
from bot.views import CardView
from holdpoint.model import (
    Claim,
    Decision,
    DecisionKind,
    GrantLimits,
    GrantScope,
    Hold,
    Part,
    PartRole,
    Question,
    Requester,
    Requirement,
    Reviewer,
    ReviewTerms,
    Risk,
    RuleHit,
    Span,
    State,
    Verdict,
)
from tests.bot.slack.surfaces import LINK, MASKS, NOW, hold_with
from tests.bot.teams.surfaces import SURFACES, inlines_of, said
from tests.fakes.teams.cards import card_problems
from tests.fakes.teams.reading import buttons_of
from tests.support.builders import make_evaluation

PEERS = os.environ.get("HOLDPOINT_PEERS", "")
Json = dict[str, Any]
SAM = Reviewer("sam@example.com", frozenset({"security"}), frozenset(), "teams", "Sam")
OLA = Reviewer("ola@example.com", frozenset(), frozenset(), "teams", "Ola")
DANA = Reviewer("dana@example.com", frozenset(), frozenset(), "teams", "Dana")


def a_hold(prompt: str = "fine", *, state: State = State.PENDING, risk: Risk = Risk.HIGH, **changes: Any) -> Hold:
    """A plain one: one text, one rule, one requirement."""
    spans = changes.pop("spans", ())
    terms = changes.pop("terms", ReviewTerms())
    plain = hold_with("fine", state=state)
    part = Part("messages/0/content", PartRole.USER, prompt)
    evaluation = make_evaluation(
        hits=(RuleHit("secrets", "Credentials in a prompt", Verdict.REVIEW, risk, spans),),
        reason="Credentials in a prompt", requirements=(Requirement("security", 1),), terms=terms,
    )  # fmt: skip
    hold = replace(
        plain, query=replace(plain.query, parts=(part,), tools=(), uninspectable=(), model="llama"),
        evaluation=replace(evaluation, risk=risk), connection="demo", environment="production", justification="",
        questions=(), claim=None, paused_ms=None, similar=None, address="127.0.0.1",
        requester=Requester("dana@example.com", frozenset({"contractors"}), owner=None),
        decisions=() if state is State.PENDING else (replace(plain.decisions[-1], by="sam@example.com", name="Sam"),),
    )  # fmt: skip
    return replace(hold, **changes)


def viewed(hold: Hold, viewer: Reviewer | None = None, *, limit: int | None = render.CARD_CHARACTERS) -> CardView:
    return card_view(hold, now_ms=NOW, link_base=LINK, masks=MASKS, viewer=viewer, limit=limit)


def rows_of(card: Json) -> list[tuple[str, str, bool]]:
    """Type without "Action.", title, and whether it stands in the menu, of the card's own buttons."""
    return [
        (action["type"].removeprefix("Action."), action["title"], action.get("mode") == "secondary")
        for action in card["actions"]
    ]


def titles(card: Json) -> list[str]:
    return [title for _, title, _ in rows_of(card)]


def runs_of(card: Json) -> list[Json]:
    return [run for inlines in inlines_of(card) for run in inlines if isinstance(run, dict)]


def test_the_buttons_of_a_card_in_their_order() -> None:
    plain = render.card(viewed(a_hold()))
    assert rows_of(plain) == [
        ("Execute", "Approve", False),
        ("ShowCard", "Edit & approve", False),
        ("ShowCard", "Reject", False),
        ("ShowCard", "Ask the requester", False),
        ("Execute", "I am on it", False),
        ("OpenUrl", "Open in inbox", False),
    ]


def test_what_does_not_fit_into_six_buttons_stands_in_a_menu() -> None:
    terms = ReviewTerms(grant=GrantLimits(5, 60_000, frozenset({GrantScope.REQUESTER})))
    view = viewed(a_hold("x" * 5_000, terms=terms, claim=Claim("sam@example.com", "Sam", NOW)))
    card = render.card(replace(view, actions=(*view.actions, Action.REVEAL)))
    assert [title for _, title, menu in rows_of(card) if not menu] == [
        "View full", "Approve", "Edit & approve", "Reject", "Ask the requester", "Hand it back",
    ]  # fmt: skip
    assert [title for _, title, menu in rows_of(card) if menu] == [
        "Open in inbox", "Approve similar …", "Reveal what is masked"
    ]  # fmt: skip
    assert card_problems(card) == []


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("risk", "length", "first"),
    [
        (Risk.HIGH, 5_000, {"View full": "positive", "Approve": None}),
        (Risk.HIGH, 50, {"Approve": "positive"}),
        (Risk.MEDIUM, 5_000, {"Approve": "positive"}),
    ],
)
def test_what_has_to_be_read_before_it_is_approved_is_offered_first_and_in_colour(
    risk: Risk, length: int, first: dict[str, str | None]
) -> None:
    view = viewed(a_hold("x" * length, risk=risk))
    for card in (render.card(view), render.bundle_card(BundleView("b7", view, ("h1", "h2")))):
        styles = [(action["title"].removesuffix(" all 2"), action.get("style")) for action in card["actions"]]
        assert styles[: len(first)] == list(first.items())
        assert [style for _, style in styles].count("positive") == 1
        assert [title for title, _ in styles].count("View full") == (length > 50 or "all 2" in str(card))


def test_buttons_carry_hold_and_digest_and_the_same_for_old_clients() -> None:
    view = viewed(a_hold("secret text"))
    value = f"{view.id} {view.digest}"
    found = [button.action for button in buttons_of(render.card(view)) if button.verb]
    assert {action["data"]["hold"] for action in found} == {value, f"{value} whole"}
    for action in found:
        assert action["data"].keys() <= {"verb", "hold", "msteams"}
        if action["type"] == "Action.Execute":
            assert action["verb"] == action["data"]["verb"]
            assert action["fallback"]["type"] == "Action.Submit"
            assert (action["fallback"]["data"], action["fallback"]["title"]) == (action["data"], action["title"])
        else:
            assert action["data"]["msteams"] == {"type": "task/fetch"}


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_hold_that_is_not_pending_has_no_button_that_does_anything(state: State) -> None:
    view = viewed(a_hold("x" * 5_000, state=state))
    assert titles(render.card(view)) == ["Open in inbox"]
    assert titles(render.dm_card(view)) == []
    assert "refresh" not in render.card(view)
    assert "see the inbox" in said(render.card(view))


@pytest.mark.parametrize(
    ("state", "risk", "heading", "style"),
    [
        (State.PENDING, Risk.HIGH, "🔴 High risk, held for review", "attention"),
        (State.PENDING, Risk.MEDIUM, "🟠 Medium risk, held for review", "warning"),
        (State.PENDING, Risk.LOW, "⚪ Low risk, held for review", "accent"),
        (State.APPROVED, Risk.HIGH, "✅ Approved", "good"),
        (State.COMPLETED, Risk.HIGH, "✅ Approved and answered", "good"),
        (State.FAILED, Risk.LOW, "❗ Approved, but the model failed", "attention"),
        (State.REJECTED, Risk.LOW, "⛔ Rejected", "attention"),
        (State.EXPIRED, Risk.HIGH, "⌛ Expired", "emphasis"),
        (State.CANCELLED, Risk.HIGH, "🚫 Cancelled", "emphasis"),
    ],
)
def test_the_heading_says_state_and_risk_in_words_and_colour(
    state: State, risk: Risk, heading: str, style: str
) -> None:
    first = render.card(viewed(a_hold(state=state, risk=risk)))["body"][0]
    assert (first["items"][0]["text"], first["style"]) == (heading, style)


def test_a_card_says_who_what_where_why_and_until_when_in_the_readers_own_time() -> None:
    hold = a_hold(told=(("email", True), ("teams", False)))
    told = said(render.card(viewed(hold)))
    assert "dana@example.com (contractors) → llama → demo · production" in told
    assert "Why  secrets: Credentials in a prompt" in told
    assert "Decide by  ⏳ {{DATE(2023-11-14T22:23:20Z, SHORT)}} {{TIME(2023-11-14T22:23:20Z)}}" in told
    assert "Requester  Told by e-mail: the app is not installed for them in Teams" in told
    assert f"Hold {hold.id} · text {'d' * 12}" in told


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ((("email", False), ("teams", False)), "Could not be told: no mail could be sent to them; the app is not"),
        ((("teams", False),), "Could not be told: the app is not installed for them in Teams"),
        ((("email", True),), "Told by e-mail"),
        ((), ""),
    ],
)
def test_how_the_requester_was_told_is_said_where_it_is_unusual(told: Any, sentence: str) -> None:
    card = said(render.card(viewed(a_hold(told=told))))
    assert sentence in card
    assert ("Requester  " in card) is bool(sentence)


def test_what_matched_is_highlighted_and_the_rest_is_not() -> None:
    card = render.card(viewed(a_hold("what is the admin password today", spans=(Span("messages/0/content", 18, 26),))))
    assert [(run["text"], run.get("highlight", False)) for run in runs_of(card) if run.get("fontType")] == [
        ("what is the admin ", False),
        ("password", True),
        (" today", False),
    ]


def test_what_is_left_out_is_in_italics_and_has_to_be_read_for_high_risk() -> None:
    card = render.card(viewed(a_hold("x" * 10_000)))
    assert [run["text"] for run in runs_of(card) if run.get("italic")] == ["… 8,800 characters left out …"]
    assert "Read it in full before approving. 8,800 characters left out: View full" in said(card)
    medium = said(render.card(viewed(a_hold("x" * 10_000, risk=Risk.MEDIUM))))
    assert "8,800 characters left out: View full" in medium
    assert "Read it in full" not in medium


def test_columns_and_indents_stay_where_clients_run_blanks_together() -> None:
    card = render.card(viewed(a_hold("def f():\n    return 1\n x  y\tz")))
    (shown,) = [run["text"] for run in runs_of(card) if run.get("fontType")]
    assert shown == "def f():\n\u00a0 \u00a0 return 1\n\u00a0x\u00a0 y\u00a0 \u00a0 z"


def test_who_sent_it_sees_their_own_status_and_nothing_to_press() -> None:
    for principal, hold in (("dana@example.com", a_hold()), ("owner@example.com", replace(
        a_hold(), requester=Requester("bot", frozenset(), owner="owner@example.com")))):  # fmt: skip
        person = replace(DANA, principal=principal)
        card = render.card_for(viewed(hold, person), person)
        assert card["actions"] == []
        assert "Your request is held for review" in said(card)
        assert card["refresh"]["action"]["data"]["hold"] == f"{hold.id} {hold.digest}"


def test_who_may_not_decide_is_told_why_and_can_press_nothing_that_acts() -> None:
    view = viewed(a_hold("x" * 5_000), OLA)
    card = render.card_for(view, OLA)
    assert titles(card) == ["Open in inbox"]
    assert view.may_not_decide in said(card)
    assert "see the inbox" in said(card)
    assert "before approving" not in said(card)


def test_a_reviewer_sees_their_own_claim() -> None:
    hold = a_hold(claim=Claim("kim@example.com", "Kim", NOW + 60_000))
    card = render.card_for(viewed(hold, SAM), SAM)
    assert "I am on it" in titles(card)
    assert "On it  Kim until " in said(card)
    kim = replace(SAM, principal="kim@example.com")
    assert "Hand it back" in titles(render.card_for(viewed(hold, kim), kim))


def test_a_card_that_waits_asks_to_be_drawn_for_each_person() -> None:
    view = viewed(a_hold())
    action = {
        "type": "Action.Execute",
        "verb": "refresh",
        "data": {"verb": "refresh", "hold": f"{view.id} {view.digest}"},
    }
    assert render.card(view)["refresh"] == {"action": action, "userIds": []}


def test_a_decided_card_tells_the_story() -> None:
    decided = Decision(
        DecisionKind.REJECT, "sam@example.com", "Sam", ("security",), "teams", NOW + 200_000, "d" * 64, "d" * 64,
        reason="Not needed\nUse the vault.",
    )  # fmt: skip
    told = said(render.card(viewed(a_hold(state=State.REJECTED, decisions=(decided,)))))
    assert "Status  Rejected by Sam from Teams after 3 min 20 s" in told
    assert "Reason\nNot needed\nUse the vault." in told
    assert "Rejected by Sam (sam@example.com) from Teams" in told


def test_the_requesters_message_asks_and_tells() -> None:
    waits = render.dm_card(viewed(a_hold()))
    assert titles(waits) == ["Justify", "Withdraw …", "Messages …"]
    asked = a_hold(questions=(Question("q1", "sam@example.com", "Sam", "Why?\nNow?", NOW),), justification="because")
    card = render.dm_card(viewed(asked))
    assert titles(card) == ["Answer", "Change what you said", "Withdraw …", "Messages …"]
    assert "A question about your request" in said(card)
    assert "Why?\nNow?" in said(card)
    pressed = [button for button in buttons_of(card) if button.verb]
    by_verb = {button.verb: button.action["data"]["hold"] for button in pressed if button.verb != "quiet"}
    value = f"{asked.id} {asked.digest}"
    assert by_verb == {"answer": f"{value} q1", "justify": value, "cancel": value}
    quiet = [button.action["data"]["hold"] for button in pressed if button.verb == "quiet"]
    assert quiet == [f"{value} all", f"{value} decisions", f"{value} none"]
    assert render.dm_summary(viewed(asked)) == "Sam has a question about your request"


def test_a_bundle_decides_exactly_what_waits() -> None:
    view = viewed(a_hold(risk=Risk.MEDIUM))
    bundle = BundleView("b7", view, tuple(f"h{n}" for n in range(50)), ((State.CANCELLED, 2), (State.APPROVED, 1)))
    card = render.bundle_card(bundle)
    assert titles(card) == ["Approve all 50", "Reject all 50", "View full", "Open in inbox"]
    assert card["refresh"]["action"]["data"] == {"verb": "refresh", "hold": bundle.value}
    assert "53 identical requests: 50 wait, 2 cancelled, 1 approved. A decision covers exactly those" in said(card)
    assert "h39 and 10 more" in said(card)
    values = {button.action["data"]["hold"] for button in buttons_of(card) if button.verb.startswith("bulk")}
    assert values == {bundle.value}
    over = render.bundle_card(replace(bundle, ids=(), card=viewed(a_hold(state=State.APPROVED))))
    assert (titles(over), "refresh" in over) == (["Open in inbox"], False)
    prepared = replace(bundle, card=replace(view, reasons=("Not needed",)))
    assert "Choose a prepared reason …" in [button.title for button in buttons_of(render.bundle_card(prepared))]


def test_identical_requests_as_who_sent_them_sees_them() -> None:
    view = viewed(a_hold("x" * 5_000))
    bundle = BundleView("b7", view, ("h1", "h2"), ((State.CANCELLED, 1),))
    card = render.bundle_card_for(bundle, DANA, "Only security may.")
    assert card["actions"] == []
    assert "Your request is held for review · × 3" in said(card)
    assert "3 identical requests: 2 wait, 1 cancelled" in said(card)
    assert "Waiting: h1, h2" in said(card)
    assert "Only security" not in said(card)
    assert card["refresh"]["action"]["data"]["hold"] == bundle.value


def test_who_may_decide_none_of_identical_requests_is_told_why() -> None:
    view = viewed(a_hold("x" * 5_000))
    bundle = BundleView("b7", view, ("h1", "h2"))
    card = render.bundle_card_for(bundle, OLA, "Only security may.")
    assert titles(card) == ["Open in inbox"]
    assert "Only security may." in said(card)
    assert "before approving" not in said(card)
    assert card["refresh"] == render.bundle_card(bundle)["refresh"]
    assert render.bundle_card_for(bundle, SAM) == render.bundle_card(bundle)


WAITS, ENDED = (digest_line(viewed(a_hold(state=state))) for state in (State.PENDING, State.REJECTED))
OTHERS = replace(WAITS, senders=frozenset({"lee@example.com"}), id="lees")


@pytest.mark.parametrize(
    ("lines", "person", "refused", "told", "acts"),
    [
        ((OTHERS, WAITS), DANA, "", "One of these requests is yours: others decide on it.", True),
        (
            (OTHERS, WAITS),
            DANA,
            "No.",
            "One of these requests is yours: others decide on it. Of the others: No.",
            False,
        ),
        ((WAITS, WAITS), DANA, "No.", "2 of these requests are yours: others decide on them.", False),
        ((WAITS, ENDED), DANA, "No.", "2 of these requests are yours: others decide on them.", False),
        ((ENDED, OTHERS), DANA, "No.", "One of these requests is yours. Of the others: No.", False),
        ((ENDED,), DANA, "", "One of these requests is yours.", False),
        ((WAITS, OTHERS), OLA, "No.", "No.", False),
        ((WAITS, OTHERS), SAM, "", "", True),
    ],
)
def test_a_digest_as_one_person_sees_it(
    lines: tuple[DigestLine, ...], person: Reviewer, refused: str, told: str, acts: bool
) -> None:
    card = render.digest_card_for(DigestView("b1", lines, LINK), person, refused)
    (shown,) = [said({"body": [each]}) for each in card["body"][1:] if each["type"] == "Container"] or [""]
    assert shown == told
    assert ([title.split()[0] for title in titles(card)] == ["Open"]) is not acts
    assert ("refresh" in card) is any(line.pending for line in lines)
    mine = [person.principal in line.senders for line in lines]
    assert said(card).count(" · yours") == sum(mine)
    if any(mine) and not mine[0]:
        assert said(card).index("yours ·") < said(card).index("lees"), "their own stand first"


def test_a_digest_tells_who_what_risk_until_when_and_which() -> None:
    waits = digest_line(viewed(a_hold("the words", risk=Risk.MEDIUM)))
    done = digest_line(viewed(a_hold("the words", state=State.REJECTED)))
    digest = DigestView("b1", (waits, done), f"{LINK}/review")
    card = render.digest_card(digest)
    assert "🟠 medium · dana@example.com\nCredentials in a prompt → llama\n“the words”\n⏳ {{DATE(" in said(card)
    assert "Rejected by Sam" in said(card)
    assert said(card).count("the words") == 1
    assert titles(card) == ["Approve this one …", "Reject this one", "Open in inbox"]
    pressed = {button.title: button.action["data"] for button in buttons_of(card) if button.verb}
    assert pressed["Approve this one"] == {"verb": "bulk_approve", "hold": digest.value}
    assert card["refresh"]["action"]["data"] == {"verb": "refresh", "hold": digest.value}
    over = render.digest_card(DigestView("b1", (done,), LINK))
    assert (titles(over), "refresh" in over) == (["Open in inbox"], False)


def test_a_full_digest_shows_every_hold() -> None:
    lines = tuple(replace(digest_line(viewed(a_hold("the words " * 30))), id=f"{n:026}") for n in range(DIGEST_LINES))
    card = render.digest_card(DigestView("b1", lines, LINK, more=500))
    assert all(line.id in said(card) for line in lines)
    assert "500 more wait" in said(card)


def test_the_lines_for_notifications_have_nothing_that_the_request_says() -> None:
    hold = a_hold("the prompt", state=State.PENDING)
    for line in (render.summary(viewed(hold)), render.dm_summary(viewed(hold))):
        assert "the prompt" not in line
        assert "llama" not in line
    assert render.summary(viewed(hold)).startswith("🔴 High risk, held for review: Credentials in a prompt")


def test_an_answer_lists_what_it_has() -> None:
    view = viewed(a_hold("the words"))
    table = Table(("id", "risk"), (("h1", "high"), ("h22", "low")))
    card = render.answer_card(Answer(True, ("Two.",), table, (view,) * 8, "a: 1\n  b: 2", confirm="confirm c0ffee"))
    told = said(card)
    assert "h1\nhigh\nh22\nlow" in told
    assert "a: 1\n  b: 2" in told
    assert "The first 6 of 8; the inbox has them all." in told
    (press,) = [button.action for button in buttons_of(card) if button.verb]
    assert press["data"] == {"verb": "confirm", "hold": "confirm c0ffee"}
    assert "Done." in said(render.answer_card(Answer(True)))


@pytest.mark.parametrize(
    ("header", "row", "shown"),
    [
        (("", ""), ("principal", "dana@example.com"), "principal\ndana@example.com"),
        (("command", "what it does"), ("help", "this list"), "help\nthis list"),
        (("group", "channel", "from"), ("*", "web", "policy"), "*\nchannel web · from policy"),
        (("", "held", "approved", "median"), ("by Sam", "", "7", "40 s"), "by Sam\napproved 7 · median 40 s"),
        (("", "part", "found", "what to do"), ("ok", "redis", "3 ms", ""), "ok\npart redis · found 3 ms"),
        (("id", "note", ""), ("", "x", "stale"), "–\nnote x · stale"),
        (("id", "note"), ("a", ""), "a"),
        (("id",), ("a",), "a"),
        (("id", "note"), ("**a**", "x" * 400), f"**a**\n{'x' * 299}…"),
    ],
)
def test_a_row_of_a_table_stands_below_its_name(header: tuple[str, ...], row: tuple[str, ...], shown: str) -> None:
    card = render.answer_card(Answer(True, ("Look.",), Table(header, (row, row))))
    assert card_problems(card) == []
    assert said(card) == f"Look.\n{shown}\n{shown}"
    _, box = card["body"]
    assert [entry.get("separator", False) for entry in box["items"]] == [False, True]


def test_a_long_table_is_text_in_columns() -> None:
    rows = tuple((f"h{number}", "high", "x" * 60) for number in range(200))
    card = render.answer_card(Answer(True, table=Table(("id", "risk", "text"), rows)))
    assert f"id    risk  text\nh0    high  {'x' * 60}\n" in said(card)
    assert "more lines left out here" in said(card)
    assert "h90 " in said(card)


def test_help_is_shown_whole() -> None:
    forms = [row.form.shown for row in TABLE]
    shown = said(
        render.answer_card(
            Answer(True, table=Table(("command", "what it does"), tuple((each, "x" * 90) for each in forms)))
        )
    )
    assert [each for each in forms if each not in shown.split("\n")] == []


def test_a_sample_says_that_it_is_one_and_offers_nothing() -> None:
    card = render.sample_card(viewed(a_hold()))
    assert "Sample card" in said(card)
    assert "Nothing is held" in said(card)
    assert not list(buttons_of(card))
    assert "refresh" not in card


@pytest.mark.skipif(not PEERS, reason="HOLDPOINT_PEERS names no folder")
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("state", list(State))
def test_the_published_schema_accepts_every_card(surface: str, state: State) -> None:
    schema = json.loads(Path(PEERS, "adaptive-cards", "adaptive-card-1.5.0.json").read_text())
    for text in ("fine", "a\n{{DATE(x)}}\u200b", "x" * 5_000):
        for card in SURFACES[surface](hold_with(text, state=state)).cards:
            known = {name: value for name, value in card.items() if name != "msteams"}  # Teams' own
            error = best_match(Draft6Validator(schema).iter_errors(known))
            assert error is None, error
