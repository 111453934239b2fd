"""Microsoft Teams: the only importer of the Bot Framework's SDK. Read app.py (wiring), channel.py (cards), actions.py (clicks).

::

    notify ──▶ channel ─ render ─ templates/teams/ ──▶ connector ─ courier (pace, credentials) ──▶ the Bot Connector
    Teams ──▶ tokens (openid) ─ adapter ─ listener ─▶ actions | dialogs | commands | places ─ people ─▶ bot.decide

The verbs of buttons are here, and once more in the templates. A button carries its verb and, under ``hold``, the value
``<hold> <digest>``: nothing that decides who may do what.
"""

from __future__ import annotations

KIND = "teams"

APPROVE = "approve"
REJECT = "reject"
EDIT = "edit"
ASK = "ask"
CLAIM = "claim"
UNCLAIM = "unclaim"
GRANT = "grant"
VIEW = "view"
REVEAL = "reveal"
REFRESH = "refresh"
CANCEL = "cancel"
JUSTIFY = "justify"
ANSWER = "answer"
QUIET = "quiet"
BULK_APPROVE = "bulk_approve"
BULK_REJECT = "bulk_reject"
CONFIRM = "confirm"
