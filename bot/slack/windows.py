"""Modals on a person's screen: opened, put on top, turned to another page. Slack allows three seconds and one modal a click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.slack.client import SlackClient, SlackRefused
from bot.slack.forms import notice_modal
from holdpoint.errors import TooLate

Body = Mapping[str, Any]

_EXPIRED = frozenset({"expired_trigger_id", "trigger_expired"})
_USED = frozenset({"exchanged_trigger_id", "trigger_exchanged"})
_TURNED = frozenset({"hash_conflict", "not_found"})  # the same click, delivered twice; or the modal was closed


def in_modal(body: Body) -> bool:
    """Whether the click was inside a modal (App Home is a view, too, but none that can be covered)."""
    return str((body.get("view") or {}).get("type") or "") == "modal"


async def open_modal(client: SlackClient, body: Body, modal: Mapping[str, Any]) -> None:
    """Show ``modal`` to who clicked, on top of the modal that they clicked in.

    Raises:
        TooLate: three seconds have passed since the click.
        ChannelError: Slack did not take it.
    """
    method = "views.push" if in_modal(body) else "views.open"
    try:
        await client.call(method, trigger_id=body["trigger_id"], view=modal)
    except SlackRefused as error:
        if error.word in _USED:
            return  # the same click, delivered twice: its modal is open
        if error.word in _EXPIRED:
            raise TooLate(
                "That took longer than the three seconds that Slack allows. Press the button again."
            ) from error
        raise


async def open_notice(client: SlackClient, body: Body, sentence: str, url: str = "") -> None:
    """The same for a sentence, with a link as a button, that has no other place. A spent trigger is an error here: nobody would read it.

    Raises:
        ChannelError: Slack did not take it.
    """
    method = "views.push" if in_modal(body) else "views.open"
    await client.call(method, trigger_id=body["trigger_id"], view=notice_modal(sentence.splitlines(), url))


async def turn_modal(client: SlackClient, body: Body, modal: Mapping[str, Any]) -> None:
    """Show ``modal`` in place of the one that was clicked in, unless that has changed or gone meanwhile.

    Raises:
        ChannelError: Slack did not take it.
    """
    try:
        await client.call("views.update", view_id=body["view"]["id"], hash=body["view"]["hash"], view=modal)
    except SlackRefused as error:
        if error.word not in _TURNED:
            raise
