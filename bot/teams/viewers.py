"""Who sees a view of a card of their own as soon as they look at it: by the policy's word, and as many as fit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bot.teams.elements import MOST_BYTES, Card, size_bytes
from holdpoint.model import Hold, State
from holdpoint.policy.groups import Group

MOST_VIEWERS = 60  # https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model#refresh-mechanism

Viewers = Mapping[str, Sequence[str]]
"""Principals: ``requester`` and owners, ``reviewers``; empty where everybody reads the same."""


def viewers_of(holds: Iterable[Hold], groups: Mapping[str, Group]) -> Viewers:
    """Whose view of a card that shows ``holds`` differs: who sent those that wait, and who may decide on them."""
    waiting = [hold for hold in holds if hold.state is State.PENDING]
    if not waiting:
        return {}
    senders = (who for hold in waiting for who in (hold.requester.principal, hold.requester.owner) if who)
    names = dict.fromkeys(name for hold in waiting for name in _asked(hold))
    reviewers = (member for name in names if name in groups for member in sorted(groups[name].members))
    return {"requester": list(dict.fromkeys(senders)), "reviewers": list(dict.fromkeys(reviewers))}


def with_viewers(activity: Mapping[str, Any], members: Iterable[str]) -> dict[str, Any]:
    """``activity``, whose card shows ``members`` (``29:…``) their own view: as many of the first as Teams takes.

    Teams refuses an activity that is too large, and the card is worth more than its personal views: whoever is left out
    has theirs in the message's menu.
    """
    (attachment,) = activity["attachments"]
    card: Card = attachment["content"]
    # Never left out: without ids every client would ask.
    bare = _with(activity, attachment, card, [])
    room = MOST_BYTES - size_bytes(bare)
    ids: list[str] = []
    for member in dict.fromkeys(members):
        room -= size_bytes(member) + 2 * len(",")
        if room < 0 or len(ids) == MOST_VIEWERS:
            break
        ids.append(member)
    return _with(activity, attachment, card, ids)


def _with(activity: Mapping[str, Any], attachment: Mapping[str, Any], card: Card, ids: list[str]) -> dict[str, Any]:
    content = {**card, "refresh": {**card["refresh"], "userIds": ids}}
    return {**activity, "attachments": [{**attachment, "content": content}]}


def _asked(hold: Hold) -> Iterator[str]:
    """The groups that may decide on it by now."""
    for each in hold.evaluation.requirements:
        yield from (each.group, *each.alternates)
    yield from (step.group for step in hold.evaluation.escalations[: hold.escalated])
