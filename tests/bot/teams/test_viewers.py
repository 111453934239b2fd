"""Who sees a view of a card of their own: by the policy's word, the requester first, and as many as Teams takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.shared_views import DIGEST_LINES, BundleView, DigestView, digest_line
from bot.teams import render
from bot.teams.elements import ENVELOPE_BYTES, MOST_BYTES, size_bytes
from bot.teams.threads import ADAPTIVE
from bot.teams.viewers import MOST_VIEWERS, viewers_of, with_viewers
from holdpoint.model import Escalation, Requester, Requirement, State
from holdpoint.policy.groups import Group
from tests.bot.teams.surfaces import LINK, Json, hold_with, seen
from tests.bot.teams.test_sizes import EXTREMES, crowded
from tests.fakes.teams.activities import utf16_bytes
from tests.gallery.holds import pending

GROUPS = {
    name: Group(name, frozenset(f"{who}@example.com" for who in members))
    for name, members in {"security": ("sam", "kim"), "legal": ("lou", "sam"), "leads": ("lee",)}.items()
}
LONG_IDS = [f"29:1{number:03}{'x' * 104}" for number in range(100)]


def activity_of(card: Json, summary: str = "s" * 500) -> dict[str, Any]:
    alert = {"notification": {"alert": True}}
    attachment = {"contentType": ADAPTIVE, "content": card}
    return {"type": "message", "summary": summary, "attachments": [attachment], "channelData": alert}


def ids_of(activity: Json) -> list[str]:
    found: list[str] = activity["attachments"][0]["content"]["refresh"]["userIds"]
    return found


def largest(text: str) -> list[Json]:
    view = seen(crowded(text, State.PENDING))
    bundle = BundleView("b" * 26, view, tuple(f"h{n:025}" for n in range(500)), tuple((state, 9) for state in State))
    return [
        render.card(view),
        render.bundle_card(bundle),
        render.digest_card(DigestView("b" * 26, (digest_line(view),) * DIGEST_LINES, LINK, more=500)),
    ]


@pytest.mark.parametrize("text", ["x" * 300, "{{DATE(" * 60, '"\\\n' * 100, "😀" * 200, *EXTREMES.values()])
def test_the_largest_cards_take_as_many_long_ids_as_fit(text: str) -> None:
    for card in largest(text):
        activity = with_viewers(activity_of(card), LONG_IDS)
        ids = ids_of(activity)
        assert ids == LONG_IDS[: len(ids)], "the first of them"
        assert size_bytes(activity) <= MOST_BYTES
        one_more = {**card, "refresh": {**card["refresh"], "userIds": LONG_IDS[: len(ids) + 1]}}
        assert len(ids) == MOST_VIEWERS or size_bytes(activity_of(one_more)) > MOST_BYTES
        assert utf16_bytes(activity) < 28 * 1024, "as Teams counts"
        assert len(ids) >= 2 or size_bytes(card) > MOST_BYTES - ENVELOPE_BYTES, "requester and owner"
        assert card["refresh"]["userIds"] == []


def test_at_most_sixty_and_each_once() -> None:
    card = render.card(seen(hold_with("fine")))
    short = [f"29:{number}" for number in range(100)]
    assert ids_of(with_viewers(activity_of(card), [*short[:3], *short])) == short[:MOST_VIEWERS]
    assert ids_of(with_viewers(activity_of(card), [])) == []


def test_requesters_and_owners_come_before_those_who_may_decide() -> None:
    one = pending(requester=Requester("bot", frozenset(), owner="dana@example.com"))
    two = pending(requester=Requester("ola@example.com", frozenset()))
    law = replace(two.evaluation, requirements=(Requirement("legal", 1), Requirement("nobody", 1)))
    over = replace(pending(requester=Requester("gus@example.com", frozenset())), state=State.APPROVED)
    found = viewers_of([one, replace(two, evaluation=law), over], GROUPS)
    assert found == {
        "requester": ["bot", "dana@example.com", "ola@example.com"],
        "reviewers": ["kim@example.com", "sam@example.com", "lou@example.com"],
    }
    assert viewers_of([over], GROUPS) == viewers_of([], GROUPS) == {}


def test_who_joined_by_escalation_or_may_stand_in_is_among_them() -> None:
    hold = pending()
    needs = (Requirement("security", 1, alternates=("legal",)),)
    steps = (Escalation(1, "leads"), Escalation(2, "nobody"))
    hold = replace(hold, evaluation=replace(hold.evaluation, requirements=needs, escalations=steps))
    names = ["kim@example.com", "sam@example.com", "lou@example.com"]
    assert viewers_of([hold], GROUPS)["reviewers"] == names
    assert viewers_of([replace(hold, escalated=1)], GROUPS)["reviewers"] == [*names, "lee@example.com"]
