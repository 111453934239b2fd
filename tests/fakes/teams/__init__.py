"""A strict fake of Microsoft's side of Teams, in a process of its own, with the people at their clients.

::

    test ── FakeTeams (handle) ──HTTP /_fake/…──▶ control ─┬─▶ clients, installs ─▶ delivery (keys) ──▶ the bot
                                                          └─▶ world, faults, rates
    the bot ──▶ login (OpenID, JWKS, Entra's tokens) · connector (activities, cards, rosters)

A person sees what is shown to them: the card of a message, or their own since they clicked or it was refreshed; a click
needs a message, a membership and a button that is on it. What Teams would refuse it refuses, and notes as a problem::

    from tests.fakes.teams.fixtures import teams, teams_process   # in a conftest.py

    async def test_an_approval(teams: FakeTeams) -> None:
        await teams.connect(bot_url)                       # http://127.0.0.1:…/api/messages
        await teams.install("security")                    # the bot hears of it, and may post
        [card] = await teams.cards("security")
        shown = await teams.user("kim").click(card, "Approve", {"reason": "fine"})
        assert shown.kind == "card" and "Approved" in shown.seen

Read handle.py, arranging.py and mishaps.py (what a test can do), seen.py (what it gets to see), wrong_tokens.py (tables);
then connector.py and clients.py.
"""

from __future__ import annotations

from tests.fakes.teams.arranging import Call, CannotDo
from tests.fakes.teams.handle import FakeTeams, TeamsUser
from tests.fakes.teams.seen import Answer, DialogSeen, Result, Seen
from tests.fakes.teams.things import channel_id, group_id, personal_id

__all__ = [
    "Answer", "Call", "CannotDo", "DialogSeen", "FakeTeams", "Result", "Seen", "TeamsUser", "channel_id", "group_id",
    "personal_id",
]  # fmt: skip
