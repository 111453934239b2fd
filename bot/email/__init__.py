"""E-mail as a channel: cards for reviewers at routed addresses, and the requester's message where no chat reaches them.

::

    notify ──▶ channel ─ render ─ templates/email/ ──▶ sender ──▶ the SMTP server

Nothing is decided by e-mail: mail scanners follow links, so a mail only leads to the web inbox, where people sign in.
"""

from __future__ import annotations

KIND = "email"
