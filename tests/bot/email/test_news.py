"""What is worth another mail, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.email import news
from holdpoint.model import Claim, Hold, State
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle, BundleKind
from tests.gallery.holds import NOW, decision, ended, pending, question

HELD = pending()
CHANGES: dict[str, tuple[Hold, bool, bool]] = {  # news for reviewers, for the requester
    "nothing": (replace(HELD, rev=9), False, False),
    "a claim": (replace(HELD, claim=Claim("sam", "Sam", NOW)), False, False),
    "a justification": (replace(HELD, justification="x"), False, False),
    "the client left": (replace(HELD, left_ms=NOW), False, False),
    "told": (replace(HELD, told=(("teams", False),)), False, False),
    "a question": (replace(HELD, questions=(question(),)), True, True),
    "one of two approvals": (replace(HELD, decisions=(decision(),)), True, False),
    "an edit": (replace(HELD, digest="e" * 64), True, False),
    "an escalation": (replace(HELD, escalated=1), True, False),
    "the reminder": (replace(HELD, reminded_ms=NOW), True, False),
    **{f"{state} ": (ended(state), True, True) for state in State if state is not State.PENDING},
}


@pytest.mark.parametrize(("hold", "reviewers", "requester"), CHANGES.values(), ids=CHANGES)
def test_what_is_news_to_whom(hold: Hold, reviewers: bool, requester: bool) -> None:
    assert (news.of_hold(hold) != news.of_hold(HELD)) == reviewers
    assert (news.for_requester(hold) != news.for_requester(HELD)) == requester


def test_an_answer_is_news_to_reviewers_alone() -> None:
    asked, answered = (replace(HELD, questions=(question(answered=done),)) for done in (False, True))
    assert news.of_hold(asked) != news.of_hold(answered)
    assert news.for_requester(asked) == news.for_requester(answered)


def test_an_approval_is_one_piece_of_news_however_far_it_has_come() -> None:
    told = {news.of_hold(ended(state)) for state in (State.APPROVED, State.RELEASED, State.COMPLETED)}
    assert len(told) == 1
    assert news.of_hold(ended(State.FAILED)) not in told


def test_a_thread_of_identical_requests_begins_like_that_of_one() -> None:
    same = Bundle("b1", BundleKind.SAME, "email:x", NOW, ("h1", "h2"))
    one = replace(HELD, id="h1")
    assert news.of_bundle(same, [one, replace(HELD, id="h2")]) == news.of_hold(one)
    assert news.of_bundle(same, [one, ended(State.REJECTED)]) != news.of_hold(one)


def test_a_digest_tells_of_holds_that_join_and_of_the_first_end_of_each_kind() -> None:
    digest = Bundle("b1", BundleKind.DIGEST, "email:x", NOW, ("h1", "h2"))
    more = replace(digest, holds=("h1", "h2", "h3"))
    waiting, rejected = [HELD] * 2, [HELD, ended(State.REJECTED)]
    told = [news.of_bundle(digest, waiting), news.of_bundle(more, waiting), news.of_bundle(digest, rejected)]
    assert len(set(told)) == 3
    claimed = [replace(HELD, claim=Claim("sam", "Sam", NOW)), HELD]
    assert news.of_bundle(digest, claimed) == told[0]


def test_what_happened_last() -> None:
    assert news.latest(HELD, masks=Masks()) == ""
    assert news.latest(replace(HELD, justification="x"), masks=Masks()) == ""
    asked = replace(HELD, questions=(question(),), escalated=1)
    assert news.latest(asked, masks=Masks()).startswith("Escalated: platform-leads")
