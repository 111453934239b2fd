"""Every card and modal keeps Slack's rules in every state, whatever the request says; and says it inertly (promise 7)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.answers import Answer, Table
from bot.cards import Action, CardView, card_view
from bot.inputs import editable
from bot.shared_views import BundleView, DigestView, digest_line, list_digest
from bot.slack import answers, forms, modals, render
from bot.slack.digest import MOST_LINES
from bot.slack.views import INPUT_UNITS, MOST_INPUTS
from bot.units import units
from holdpoint import canonical
from holdpoint.model import (
    Claim,
    Decision,
    DecisionKind,
    Edit,
    GrantLimits,
    GrantScope,
    Hold,
    Outcome,
    Part,
    PartRole,
    Query,
    Question,
    Requester,
    Requirement,
    ReviewTerms,
    Risk,
    RuleHit,
    Span,
    State,
    Verdict,
)
from holdpoint.policy import Policy
from holdpoint.visible import visible
from tests.fakes.slack.rules import POSTED_UNITS, VIEW_BYTES, message_problems, posted_units, view_bytes, view_problems
from tests.fakes.slack.text import Seen, read_blocks, read_mrkdwn
from tests.support.builders import make_evaluation

MASKS = Policy.refuse_all().masks
NOW = 1_700_000_000_000
INJECTIONS = [
    "<!channel> <!here> <@U0001> <!subteam^S1> <#C1> <https://evil.test|click> <!date^1^x|y>",
    "```\n*bold* _it_ ~no~ `code` :smile: @here #general https://evil.test",
    "&lt;!channel&gt; &amp;lt;",
    "a\u202eb\u2066c\u200bd\x00e\x1bf\u2028g\ufeffh",
    '"}], "type": "image" {{ x }} {% raw %}',
    "\ud800",
    " ",
    "\n" * 50,
    "😀" * 4000,
    "x" * 100_000,
    "",
]


def a_hold(
    prompts: list[str],
    *,
    state: State = State.PENDING,
    text: str = "fine",
    spans: tuple[Span, ...] = (),
    **changes: Any,
) -> Hold:
    roles = [PartRole.SYSTEM, PartRole.USER, PartRole.ASSISTANT, PartRole.TOOL, PartRole.DEFINITION, PartRole.PARAMETER]
    parts = tuple(Part(f"messages/{n}/content", roles[(n + 1) % 6], prompt) for n, prompt in enumerate(prompts))
    query = Query(
        connection="demo", endpoint="chat/completions", model=text, parts=parts, tools=(text, text), stream=False,
        prompt_tokens=1, max_tokens=None, uninspectable=(text,), body=b"{}",
    )  # fmt: skip
    evaluation = make_evaluation(
        hits=tuple(RuleHit(f"rule-{n}", text, Verdict.REVIEW, Risk.HIGH, spans) for n in range(8)),
        reason=text, requirements=tuple(Requirement(f"group-{n}", 2) for n in range(8)),
    )  # fmt: skip
    decided = Decision(
        DecisionKind.REJECT if state is State.REJECTED else DecisionKind.APPROVE, "sam@example.com", text, ("security",),
        "slack", NOW + 1, "d" * 64, "e" * 64, reason=text,
        edits=tuple(Edit(p.path, text) for p in parts), before=tuple(Edit(p.path, "before") for p in parts),
    )  # fmt: skip
    closed = None if state in (State.PENDING, State.APPROVED, State.RELEASED) else NOW + 2
    hold = Hold(
        id="h0123456789abcdef0123456", rev=1, state=state, digest="d" * 64, original_digest="d" * 64, connection="demo",
        environment="production", method="POST", target="/v1/chat/completions", query=query,
        requester=Requester("dana@example.com", frozenset({"contractors", text[:50]}), owner=None), address="127.0.0.1",
        evaluation=evaluation, created_ms=NOW, deadline_ms=NOW + 600_000, due_ms=NOW, justification=text,
        decisions=() if state is State.PENDING else (decided,) * 7, closed_ms=closed, close_reason=text,
        outcome=Outcome(200, "0" * 64, text, 3, 4, 5, 6, error=text) if state in (State.COMPLETED, State.FAILED) else None,
    )  # fmt: skip
    return replace(hold, **changes)


def with_risk(hold: Hold, risk: Risk) -> Hold:
    return replace(hold, evaluation=replace(hold.evaluation, risk=risk))


def viewed(hold: Hold, *, limit: int | None = render.CARD_CHARACTERS) -> CardView:
    return card_view(hold, now_ms=NOW, link_base="https://holdpoint.test", masks=MASKS, limit=limit)


def checked(blocks: list[dict[str, Any]], text: str = "x") -> Seen:
    """Both validators, and what a reader sees."""
    assert message_problems(blocks) == []
    for block in Block.parse_all(blocks):
        assert block is not None
        block.validate_json()
    assert 1 <= units(text) <= 4_000
    json.dumps(blocks).encode()
    seen = read_blocks(blocks)
    assert seen.notified == []
    assert read_mrkdwn(text, verbatim=True).notified == []
    return seen


def posted(blocks: list[dict[str, Any]], text: str = "x") -> Seen:
    """The same of what is posted in a channel or a direct message."""
    assert posted_units(blocks) <= POSTED_UNITS
    return checked(blocks, text)


def checked_view(view: dict[str, Any]) -> Seen:
    assert view_problems(view) == []
    assert view_bytes(view) <= VIEW_BYTES
    View(**view).validate_json()
    seen = read_blocks(view["blocks"])
    assert seen.notified == []
    return seen


def quoted(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The text elements of all quotes."""
    return [
        element
        for block in blocks
        if block["type"] == "rich_text"
        for inside in block["elements"]
        if inside["type"] == "rich_text_quote"
        for element in inside["elements"]
    ]


def buttons(blocks: list[dict[str, Any]]) -> list[list[str]]:
    """Texts of the buttons, row by row; those of a menu behind it."""
    return [
        [
            *(e["text"]["text"] for e in block["elements"] if e["type"] == "button"),
            *(o["text"]["text"] for e in block["elements"] if e["type"] == "overflow" for o in e["options"]),
        ]
        for block in blocks
        if block["type"] == "actions"
    ]


@pytest.mark.promise(7)
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_every_state_and_every_text_makes_a_card_that_slack_takes(state: State, text: str) -> None:
    hold = a_hold([text] * 9, state=state, text=text)
    view = viewed(hold)
    posted(render.card_blocks(view), render.card_text(view))
    posted(render.dm_blocks(view), render.dm_text(view))


@pytest.mark.promise(7)
@settings(max_examples=150, deadline=None)
@given(
    prompts=st.lists(st.text(max_size=400), max_size=8),
    text=st.text(max_size=80),
    state=st.sampled_from(list(State)),
    cuts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=30),
)
def test_arbitrary_texts(prompts: list[str], text: str, state: State, cuts: list[tuple[int, int]]) -> None:
    spans = tuple(Span("messages/0/content", start, end) for start, end in cuts)
    hold = a_hold(prompts, state=state, text=text, spans=spans)
    view = viewed(hold)
    posted(render.card_blocks(view), render.card_text(view))
    posted(render.dm_blocks(view), render.dm_text(view))
    whole = viewed(hold, limit=None)
    checked_view(forms.reject_modal(view, ()))
    checked_view(modals.edit_modal(whole, *editable(whole, hold, longest=INPUT_UNITS, most=MOST_INPUTS), whole=True))
    checked_view(modals.view_modal(whole, 1).modal)


@pytest.mark.promise(2)
@settings(max_examples=60, deadline=None)
@given(prompts=st.lists(st.text(min_size=1, max_size=6_000), min_size=1, max_size=6))
def test_the_pages_of_view_full_hold_all_of_the_text(prompts: list[str]) -> None:
    hold = a_hold(prompts)
    view = viewed(hold, limit=None)
    found = ""
    page, pages = 1, 1
    while page <= pages:
        modal = modals.view_modal(view, page)
        checked_view(modal.modal)
        assert (modal.page, f"page {page} of {modal.pages}" in read_blocks(modal.modal["blocks"]).text) == (page, True)
        pages = modal.pages
        found += "".join(run["text"] for run in quoted(modal.modal["blocks"]))
        page += 1
    assert found == "".join(part.plain for part in view.parts)
    assert sorted(found) == sorted("".join(visible(prompt) for prompt in prompts))


def test_what_matched_is_marked_and_the_rest_is_not() -> None:
    hold = a_hold(["what is the admin password today"], spans=(Span("messages/0/content", 18, 26),))
    hold = replace(hold, justification="")
    assert [(run["text"], run.get("style")) for run in quoted(render.card_blocks(viewed(hold)))] == [
        ("what is the admin ", None),
        ("password", {"bold": True, "code": True}),
        (" today", None),
    ]


def test_a_cut_card_says_how_much_is_missing_and_offers_all_of_it() -> None:
    long = viewed(a_hold(["x" * 10_000]))
    seen = posted(render.card_blocks(long))
    missing = f"{10_000 - render.CARD_CHARACTERS:,} characters left out: View full"
    assert f"Read it in full before approving. {missing}" in seen.text
    assert "View full" in buttons(render.card_blocks(long))[1]
    medium = viewed(with_risk(a_hold(["x" * 10_000]), Risk.MEDIUM))
    seen = posted(render.card_blocks(medium))
    assert missing in seen.text
    assert "Read it in full" not in seen.text
    short = viewed(a_hold(["short"]))
    assert "View full" not in posted(render.card_blocks(short)).text


def test_a_decided_card_leads_to_the_inbox_for_what_is_missing() -> None:
    seen = posted(render.card_blocks(viewed(a_hold(["x" * 10_000], state=State.REJECTED))))
    assert "characters left out: see the inbox" in seen.text
    assert "View full" not in seen.text


def test_folded_parts_are_counted() -> None:
    seen = posted(render.card_blocks(viewed(a_hold(["a short one"] * 30))))
    assert "29 more parts, 319 characters: View full" in seen.text


def test_the_buttons_of_a_card() -> None:
    hold = a_hold(["x"])
    assert buttons(render.card_blocks(viewed(hold))) == [
        ["Approve", "Edit & approve", "Reject"],
        ["Ask the requester", "I am on it", "Open in inbox"],
    ]
    grant = GrantLimits(5, 60_000, frozenset({GrantScope.REQUESTER}))
    evaluation = replace(hold.evaluation, requirements=(Requirement("security", 1),), terms=ReviewTerms(grant=grant))
    rich = replace(hold, evaluation=evaluation, claim=Claim("sam@example.com", "Sam", NOW))
    assert buttons(render.card_blocks(viewed(rich)))[1] == [
        "Ask the requester", "Hand it back", "Approve similar …", "Open in inbox"
    ]  # fmt: skip
    everything = replace(viewed(rich, limit=0), masked=True)
    everything = replace(everything, actions=(*everything.actions, Action.REVEAL))
    assert buttons(render.card_blocks(everything))[1] == [
        "Ask the requester", "Hand it back", "View full", "Open in inbox", "Approve similar …", "Reveal what is masked",
    ]  # fmt: skip
    menu = [
        e for b in render.card_blocks(everything) if b["type"] == "actions" for e in b["elements"] if "options" in e
    ]
    assert menu[0]["action_id"] == "holdpoint_more"
    assert menu[0]["options"][1]["value"] == f"holdpoint_reveal {hold.id} {hold.digest}"
    posted(render.card_blocks(everything))


def test_the_clock_that_stands_and_the_one_that_runs() -> None:
    hold = a_hold(["x"])
    running = posted(render.card_blocks(viewed(hold)))
    assert running.dates == [hold.deadline_ms // 1000]
    paused = posted(render.card_blocks(viewed(replace(hold, paused_ms=NOW + 5_000))))
    assert "stands until the requester answers, since" in paused.text
    assert paused.dates == [NOW // 1000 + 5]
    reminded = posted(render.card_blocks(viewed(replace(hold, reminded_ms=NOW))))
    assert "⏰" in reminded.text


def test_a_line_break_in_a_name_makes_no_row() -> None:
    hold = a_hold(["x"], state=State.REJECTED, text="Sam\nStatus  Approved by Kim")
    for blocks in (render.card_blocks(viewed(hold)), render.dm_blocks(viewed(hold))):
        outside = [
            "".join(element["text"] for element in inside["elements"] if element["type"] == "text")
            for block in blocks
            if block["type"] == "rich_text"
            for section in block["elements"]
            for inside in (section["elements"] if section["type"] == "rich_text_list" else [section])
            if inside["type"] == "rich_text_section"
        ]
        assert not [line for text in outside for line in text.split("\n") if line.startswith("Status  Approved")]


def test_a_bundle_decides_exactly_what_waits() -> None:
    view = viewed(a_hold(["x"]))
    bundle = BundleView(
        "b7", view, tuple(f"h{number}" for number in range(50)), ((State.CANCELLED, 2), (State.APPROVED, 1))
    )
    seen = posted(render.bundle_blocks(bundle), render.bundle_text(bundle))
    assert buttons(render.bundle_blocks(bundle)) == [
        ["Approve all 50", "Reject all 50"],
        ["View full", "Open in inbox"],
    ]
    assert (
        "53 identical requests: 50 wait, 2 cancelled, 1 approved. A decision covers exactly those that wait."
        in seen.text
    )
    assert "× 53" in seen.text
    assert "h39 and 10 more" in seen.text
    values = {
        e["value"]
        for b in render.bundle_blocks(bundle)
        if b["type"] == "actions"
        for e in b["elements"]
        if "value" in e
    }
    assert values == {bundle.value, f"{view.id} {view.digest}"}
    assert bundle.value != replace(bundle, ids=bundle.ids[:-1]).value
    assert bundle.value != replace(bundle, card=replace(view, digest="e" * 64)).value
    over = replace(bundle, ids=())
    assert buttons(render.bundle_blocks(over)) == [["Open in inbox"]]
    assert "exactly" not in posted(render.bundle_blocks(over)).text


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_a_full_digest_card_fits(text: str) -> None:
    view = replace(viewed(a_hold([text] * 3, text=text)), id="h" * 26)
    lines = tuple(replace(digest_line(view), unread=True) for _ in range(MOST_LINES))
    digest = DigestView("b1", lines, "https://holdpoint.test/review", more=500)
    seen = posted(render.digest_blocks(digest), render.digest_text(digest))
    assert f"{MOST_LINES} of {MOST_LINES} requests wait" in seen.text
    assert "500 more wait" in seen.text
    assert seen.dates == [view.deadline_ms // 1000] * MOST_LINES


def test_a_card_that_would_be_too_long_says_less_but_shows_the_whole_text() -> None:
    prompt = "password " + " ".join(f"{number:05}" for number in range(190))
    spans = tuple(Span("messages/0/content", at, at + 5) for at in range(9, len(prompt), 6))
    hold = with_risk(a_hold([prompt], spans=spans), Risk.MEDIUM)
    posted(render.card_blocks(viewed(hold)))
    assert "".join(run["text"] for run in quoted(render.card_blocks(viewed(replace(hold, justification=""))))) == prompt
    code = viewed(a_hold(['{"a": "b"}' * 900] * 9, state=State.REJECTED, text='{"a": "b"}' * 900))
    assert "Rejected" in posted(render.card_blocks(code)).text
    assert "rejected" in posted(render.dm_blocks(code)).text


def test_a_digest_tells_who_what_risk_until_when_and_which() -> None:
    waits = digest_line(viewed(with_risk(a_hold(["the words"], text="fine"), Risk.MEDIUM)))
    done = digest_line(viewed(a_hold(["the words"], state=State.REJECTED)))
    digest = DigestView("b1", (waits, done), "https://holdpoint.test/review")
    seen = posted(render.digest_blocks(digest))
    assert "🟠 medium  dana@example.com  fine → fine  the words  ⏳" in seen.text
    assert waits.id in seen.text
    assert "Rejected by fine from Slack" in seen.text
    assert seen.text.count("the words") == 1
    assert buttons(render.digest_blocks(digest)) == [["Approve this one", "Reject this one", "Open in inbox"]]
    assert digest.value == f"b1 {list_digest([(waits.id, waits.digest)])}"
    over = DigestView("b1", (done,), "https://holdpoint.test/review")
    assert buttons(render.digest_blocks(over)) == [["Open in inbox"]]


def test_the_requesters_message_asks_and_tells() -> None:
    hold = replace(a_hold(["x"]), justification="", questions=(Question("q1", "sam@example.com", "Sam", "Why?", NOW),))
    seen = posted(render.dm_blocks(viewed(hold)), render.dm_text(viewed(hold)))
    assert buttons(render.dm_blocks(viewed(hold)))[0][:3] == ["Answer", "Justify", "Withdraw"]
    assert "A question about your request" in seen.text
    assert "Sam asks" in seen.text
    assert render.dm_text(viewed(hold)) == "Sam has a question about your request"
    said = replace(a_hold(["x"]), justification="because")
    assert buttons(render.dm_blocks(viewed(said)))[0][:2] == ["Change what you said", "Withdraw"]
    edited = a_hold(["x"], state=State.REJECTED, text="no")
    seen = posted(render.dm_blocks(viewed(edited)))
    assert "The reason\nno" in seen.text
    assert "− before\n+ no" in seen.text


@pytest.mark.parametrize("count", [0, 1])
def test_the_result_has_status_tokens_time_and_size(count: int) -> None:
    hold = a_hold(["x"], state=State.COMPLETED)
    assert hold.outcome is not None
    hold = replace(
        hold, outcome=replace(hold.outcome, size_bytes=2_318, duration_ms=2_300, prompt_tokens=count or None)
    )
    tokens = "1 token in, 4 out" if count else "4 tokens out"
    for blocks in (render.card_blocks(viewed(hold)), render.dm_blocks(viewed(hold))):
        assert f"Answered with 200 after 2.3 s, {tokens}, 2.3 kB" in checked(blocks).text


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_hold_that_is_not_pending_has_no_button_that_does_anything(state: State) -> None:
    view = viewed(a_hold(["x" * 5000], state=state))
    for blocks in (render.card_blocks(view), render.dm_blocks(view)):
        actions = [e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]]
        assert set(actions) <= {"holdpoint_open", "holdpoint_view"}


def test_buttons_carry_hold_and_digest_and_nothing_else() -> None:
    view = viewed(a_hold(["secret text"]))
    values = [
        e["value"] for b in render.card_blocks(view) if b["type"] == "actions" for e in b["elements"] if "value" in e
    ]
    assert set(values) == {f"{view.id} {view.digest}"}
    assert forms.reject_modal(view, ())["private_metadata"] == f"{view.id} {view.digest}"


def test_the_line_for_notifications_has_nothing_that_the_request_says() -> None:
    hold = a_hold(["the prompt"])
    hold = replace(hold, query=replace(hold.query, model="the model's name", tools=("the tool",)))
    text = render.card_text(viewed(hold)) + render.dm_text(viewed(hold))
    for word in ("the prompt", "the model", "the tool"):
        assert word not in text


def test_the_edit_modal_offers_what_fits_and_says_what_does_not() -> None:
    prompts = ["fits", "x" * (INPUT_UNITS + 1), "hidden\u200bhere", "😀" * 1500, "😀" * 1501, *["more"] * 12]
    hold = a_hold(prompts)
    hold = replace(
        hold, query=replace(hold.query, parts=tuple(replace(p, role=PartRole.USER) for p in hold.query.parts))
    )
    view = viewed(hold, limit=None)
    inputs, elsewhere = editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS)
    texts = [part.text for _, part in inputs]
    assert len(inputs) == MOST_INPUTS
    assert "x" * (INPUT_UNITS + 1) not in texts
    assert "hidden\u200bhere" not in texts
    assert "😀" * 1501 not in texts
    assert elsewhere
    seen = checked_view(modals.edit_modal(view, inputs, elsewhere, whole=True))
    assert "and" in seen.text
    for block, part in inputs:
        assert hold.query.parts[int(block.removeprefix("part-"))].path == part.path


def test_a_modal_without_anything_to_edit_leads_to_the_inbox() -> None:
    hold = a_hold(["x" * 5000])
    view = viewed(hold, limit=None)
    modal = modals.edit_modal(view, *editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS), whole=True)
    checked_view(modal)
    assert "submit" not in modal
    assert "https://holdpoint.test/review/" in json.dumps(modal)


def test_the_largest_modals_stay_under_slacks_limit() -> None:
    hold = a_hold(["\u4e2d" * INPUT_UNITS] * MOST_INPUTS)
    hold = replace(
        hold, query=replace(hold.query, parts=tuple(replace(p, role=PartRole.USER) for p in hold.query.parts))
    )
    view = viewed(hold, limit=None)
    checked_view(modals.edit_modal(view, *editable(view, hold, longest=INPUT_UNITS, most=MOST_INPUTS), whole=True))
    checked_view(modals.view_modal(view, 1).modal)


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_answers_to_commands(text: str) -> None:
    lines = (visible(text)[:5000],) * 3
    table = Table(("a", "b"), ((visible(text)[:500], "x"),) * 20)
    cards = tuple(viewed(a_hold([text], text=text)) for _ in range(12))
    for answer in (Answer(True, lines, table, cards), Answer(False), Answer(True, table=table)):
        checked(answers.answer_blocks(answer), answers.answer_text(answer))


def test_the_same_hold_is_drawn_the_same_at_any_time() -> None:
    hold = a_hold(["x"])
    assert canonical.serialise(render.card_blocks(viewed(hold))) == canonical.serialise(
        render.card_blocks(viewed(hold))
    )
