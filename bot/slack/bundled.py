"""One Slack message for several holds: the card of identical requests, or a channel's digest. Pure but for templates.

Identical requests that have come to different ends are listed like a digest, so that each one's end is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.cards import card_view, plain_text
from bot.platform import Rendering
from bot.slack.digest import digest_blocks, digest_text
from bot.slack.render import CARD_CHARACTERS, bundle_blocks, bundle_text
from bot.views import BundleView, CardView, DigestLine, DigestView, digest_line
from holdpoint.model import Hold, Risk, State
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle, BundleKind, Covered


def bundle_rendering(bundle: Bundle, holds: Sequence[Hold], *, link_base: str, masks: Masks) -> Rendering:
    """The card of ``bundle``, whose holds are ``holds`` as they are now."""
    common: dict[str, Any] = {"link_base": link_base, "masks": masks}
    waiting = [hold for hold in holds if hold.state is State.PENDING]
    if bundle.kind is BundleKind.SAME and (waiting or len({_ending(hold) for hold in holds}) == 1):
        return _same(bundle, holds, waiting, common)
    return _digest(bundle, holds, common)


def _same(bundle: Bundle, holds: Sequence[Hold], waiting: Sequence[Hold], common: dict[str, Any]) -> Rendering:
    # Of those that wait, the one that is least far: the card never says that there is more agreement than there is.
    first = min(waiting or holds, key=lambda hold: len(hold.decisions))
    card = card_view(first, now_ms=first.created_ms, limit=CARD_CHARACTERS, **common)
    offers = tuple(Covered(hold.id, card.digest) for hold in waiting)
    ended = Counter(hold.state for hold in holds if hold.state is not State.PENDING)
    view = BundleView(bundle.id, card, tuple(each.hold for each in offers), tuple(ended.items()))
    shown = f"{view.line}\n{plain_text(card)}"
    rows = dict.fromkeys((hold.id for hold in holds), shown)
    return Rendering({"text": bundle_text(view), "blocks": bundle_blocks(view)}, shown, view.value, offers, rows)


def _digest(bundle: Bundle, holds: Sequence[Hold], common: dict[str, Any]) -> Rendering:
    lines = tuple(_line(card_view(hold, now_ms=hold.created_ms, limit=CARD_CHARACTERS, **common)) for hold in holds)
    view = DigestView(bundle.id, lines, f"{common['link_base']}/review")
    rows = {
        line.id: f"{line.requester}: {line.what} ({line.risk.value} risk). {line.sentence or 'Waiting'}"
        for line in lines
    }
    offers = tuple(Covered(line.id, line.digest) for line in view.waiting)
    payload = {"text": digest_text(view), "blocks": digest_blocks(view)}
    return Rendering(payload, "\n".join(rows.values()), view.value, offers, rows)


def _line(view: CardView) -> DigestLine:
    """A digest shows a few words: what must be read in full before it counts has not been read there."""
    return replace(digest_line(view), unread=view.risk is Risk.HIGH)


def _ending(hold: Hold) -> tuple[str, str]:
    return hold.state.value, hold.decisions[-1].by if hold.decisions else ""
