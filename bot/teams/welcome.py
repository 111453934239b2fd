"""What the bot says of itself where it was added: what it does there, and how to talk to it."""

from __future__ import annotations

from bot.teams.answers import notice_card
from bot.teams.arrived import Activity, bare, text_at
from bot.teams.reactions import CARD
from bot.teams.spot import Speaker

_PERSONAL = (
    (
        "This is your chat with Holdpoint. When a request of yours to a model waits for a review, you read here what becomes "
        "of it, and can answer questions, justify it or withdraw it."
    ),
    "Type a command: home (what waits for you, and your requests) · pending · whoami · quiet decisions · help (all of them).",
)
_SHARED = (
    (
        "Holdpoint shows requests to models here that wait for a decision, where an admin of Holdpoint has said so: "
        "@Holdpoint route here <group>, in the channel or chat that is meant. In a team, any standard channel may be; private "
        "and shared ones may not."
    ),
    "@Holdpoint help lists all commands. Answers that are for you only come to your own chat with Holdpoint.",
)


async def welcome(connector: Speaker, activity: Activity) -> None:
    """Introduce us where the app was added, by its ``installationUpdate``.

    Raises:
        ChannelError, StoreUnavailable: nothing was said.
    """
    lines = _PERSONAL if text_at(activity, "conversation", "conversationType") == "personal" else _SHARED
    card = {"contentType": CARD, "content": notice_card(lines)}
    conversation = bare(text_at(activity, "conversation", "id"))
    await connector.post(conversation, {"type": "message", "summary": "Holdpoint is here", "attachments": [card]})
