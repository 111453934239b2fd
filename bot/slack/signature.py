"""Is this callback from Slack? Checked before anything else looks at it. Pure.

Slack signs ``v0:{timestamp}:{body}`` with the signing secret (https://docs.slack.dev/authentication/verifying-requests-from-slack).
Bolt's own check answers 500 to a timestamp that is no number or a signature that is not ASCII, and logs the body of a
request that fails; so it is switched off and this one stands in front.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

WINDOW_S = 300


def is_from_slack(headers: Mapping[str, str], body: bytes, *, secret: str, now_ms: int) -> bool:
    """Whether ``body`` was signed by Slack within the last five minutes. ``headers`` by lower-case name."""
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not secret or not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12) or not signature.isascii():
        return False
    if abs(now_ms / 1000 - int(stamp)) > WINDOW_S:
        return False
    expected = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={expected}", signature)
