"""Slack: the only importer of slack-bolt and slack-sdk. Read app.py (wiring), channel.py (cards), actions.py (clicks).

::

    notify ──▶ channel ─ render ─ templates/slack/ ──▶ client ──▶ Slack's Web API
    Slack ──HTTP (signature.py) | Socket Mode──▶ app ─ actions | views | commands ─ directory ─▶ bot.decide

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

EDIT_MODAL = "holdpoint_edit_modal"
REJECT_MODAL = "holdpoint_reject_modal"

COMMAND = "/holdpoint"
KIND = "slack"
