"""Why people are called in a thread, in words, and how many at most. Whom a call means is in `bot.presence`."""

from __future__ import annotations

from holdpoint.model import Mention

MOST_CALLED = 10
REASONS = {
    Mention.HELD: "This waits for a decision:",
    Mention.REMINDER: "Half of the time is over, and this still waits:",
    Mention.ESCALATION: "You may decide on this, too:",
}
