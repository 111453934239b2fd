"""Slack: the only importer of slack-bolt and slack-sdk. Read app.py (wiring), channel.py (cards), actions.py (clicks).

::

    notify ──▶ channel ─ render ─ templates/slack/ ──▶ client ──▶ Slack's Web API
    Slack ──HTTP (signature.py) | Socket Mode──▶ app ─ listeners ─ actions | views | commands | home ─ directory ─▶ bot.decide

The names of buttons, modals and the command are here, once more in the templates, and in the manifest.
"""

from __future__ import annotations

APPROVE = "holdpoint_approve"
EDIT = "holdpoint_edit"
REJECT = "holdpoint_reject"
VIEW = "holdpoint_view"
PAGES = ("holdpoint_page_previous", "holdpoint_page_next")
CANCEL = "holdpoint_cancel"
OPEN = "holdpoint_open"
ASK = "holdpoint_ask"
CLAIM = "holdpoint_claim"
UNCLAIM = "holdpoint_unclaim"
GRANT = "holdpoint_grant"
REVEAL = "holdpoint_reveal"
ANSWER = "holdpoint_answer"
JUSTIFY = "holdpoint_justify"
QUIET = "holdpoint_quiet"
MORE = "holdpoint_more"  # the menu of a card; the value of an option is "<action id> <hold> <digest>"
BULK_APPROVE = "holdpoint_bulk_approve"
BULK_REJECT = "holdpoint_bulk_reject"

EDIT_MODAL = "holdpoint_edit_modal"
REJECT_MODAL = "holdpoint_reject_modal"
BULK_REJECT_MODAL = "holdpoint_bulk_reject_modal"
ASK_MODAL = "holdpoint_ask_modal"
GRANT_MODAL = "holdpoint_grant_modal"
ANSWER_MODAL = "holdpoint_answer_modal"
JUSTIFY_MODAL = "holdpoint_justify_modal"
VIEW_MODAL = "holdpoint_view_modal"
REVEAL_MODAL = "holdpoint_reveal_modal"

CONFIRM = "holdpoint_confirm"

COMMAND = "/holdpoint"
KIND = "slack"
