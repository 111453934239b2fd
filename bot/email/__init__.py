"""E-mail as a channel: cards for reviewers at routed addresses, and the requester's message where no chat reaches them.

::

    notify ──▶ channel ─ news (worth a mail?) ─ render ─ templates/email/ ──▶ message ──▶ pace ─ sender ──▶ the SMTP server

Nothing is decided by e-mail: mail scanners follow links, so a mail only leads to the web inbox, where people sign in.
A mail cannot be changed once it was sent: what is new goes into another one, as a reply in the same thread.
"""

from __future__ import annotations

KIND = "email"
