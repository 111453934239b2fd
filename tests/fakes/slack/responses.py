"""What a POST to a response URL does: five times within half an hour, past every membership."""

from __future__ import annotations

from typing import Any

from tests.fakes.slack.rules import message_problems
from tests.fakes.slack.things import Ephemeral, Json, Message, ResponseUrl
from tests.fakes.slack.workspace import RESPONSE_URL_USES, Workspace

ARGUMENTS = {
    "text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts", "metadata",
    "unfurl_links", "unfurl_media", "mrkdwn", "parse", "link_names",
}  # fmt: skip


def answer_response_url(ws: Workspace, key: str, body: Any) -> tuple[int, Json]:
    """Status and answer; the effect is in the workspace."""
    known = ws.response_urls[key]
    if ws.now_ms() > known.expires_ms:
        return 404, {"ok": False, "error": "expired_url"}
    if known.uses >= RESPONSE_URL_USES:
        return 404, {"ok": False, "error": "used_url"}
    wrong = _wrong(ws, known, body)
    if wrong:
        return 400, {"ok": False, "error": wrong}
    known.uses += 1
    text, blocks = body.get("text", ""), body.get("blocks") or []
    original = ws.channels[known.channel].messages.get(known.message or "") if known.channel in ws.channels else None
    if body.get("delete_original") or body.get("replace_original"):
        if original is not None and body.get("delete_original"):
            ws.delete(original)
        elif original is not None:
            original.history.append((original.text, original.blocks))
            original.text, original.blocks, original.edits = text, blocks, original.edits + 1
        elif body.get("replace_original"):  # of an ephemeral message: its reader sees the new one in its place
            ws.ephemerals.append(Ephemeral(known.channel, known.user, text, blocks))
    elif body.get("response_type") == "in_channel":
        message = Message(
            known.channel, ws.ts(), ws.bot_user, text, blocks, team=ws.team, bot_id=ws.bot_id,
            thread_ts=body.get("thread_ts"),
        )  # fmt: skip
        ws.channels[known.channel].messages[message.ts] = message
    else:
        ws.ephemerals.append(Ephemeral(known.channel, known.user, text, blocks, body.get("thread_ts")))
    return 200, {"ok": True}


def _wrong(ws: Workspace, known: ResponseUrl, body: Any) -> str:
    if not isinstance(body, dict) or not body.keys() <= ARGUMENTS:
        return "invalid_payload"
    if body.get("delete_original"):
        return "" if body.keys() == {"delete_original"} and known.message else "invalid_payload"
    if message_problems(body.get("blocks") or []):
        return "invalid_blocks"
    if not (body.get("text") or body.get("blocks")):
        return "no_text"
    if body.get("thread_ts") and body.get("replace_original") is not False:
        return "invalid_payload"  # a reply needs replace_original: false
    if body.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
        return "invalid_payload"
    if body.get("response_type") == "in_channel" and known.channel not in ws.channels:
        return "channel_not_found"
    return ""
