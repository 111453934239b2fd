"""Several holds on one card → what it shows, and what its buttons decide. Pure; knows no platform.

Identical requests that have come to different ends are listed like a digest, so that each one's end is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.cards import card_view, plain_text
from bot.platform import Rendering
from bot.shared_views import BundleView, DigestLine, DigestView, digest_line
from bot.views import CardView
from holdpoint.model import Hold, Risk, State
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle, BundleKind, Covered


@dataclass(frozen=True, slots=True)
class Bundled:
    """``view`` is what a platform renders; the rest goes into the `Rendering` as it is."""

    view: BundleView | DigestView
    shown: str
    offers: tuple[Covered, ...]
    rows: Mapping[str, str]

    def rendering(self, payload: Mapping[str, Any]) -> Rendering:
        """With the view as the platform takes it."""
        return Rendering(payload, self.shown, self.view.value, self.offers, self.rows)


Off = Callable[[Hold], str]
"""That nobody is there of a group that has to decide on a hold; empty for somebody (`bot.presence`)."""


def bundled(
    bundle: Bundle, holds: Sequence[Hold], *, link_base: str, masks: Masks, limit: int, off: Off = lambda _: ""
) -> Bundled:
    """The card of ``bundle``, whose holds are ``holds`` as they are now; it shows ``limit`` characters of a text."""
    waiting = [hold for hold in holds if hold.state is State.PENDING]

    def card(hold: Hold) -> CardView:
        return card_view(hold, now_ms=hold.created_ms, limit=limit, link_base=link_base, masks=masks, off=off(hold))

    if bundle.kind is BundleKind.SAME and (waiting or len({_ending(hold) for hold in holds}) == 1):
        # Of those that wait, the one that is least far: the card never says that there is more agreement than there is.
        first = min(waiting or holds, key=lambda hold: len(hold.decisions))
        return _same(bundle, holds, waiting, card(first))
    return _digest(bundle, [card(hold) for hold in holds], f"{link_base}/review")


def _same(bundle: Bundle, holds: Sequence[Hold], waiting: Sequence[Hold], card: CardView) -> Bundled:
    offers = tuple(Covered(hold.id, card.digest) for hold in waiting)
    ended = Counter(hold.state for hold in holds if hold.state is not State.PENDING)
    view = BundleView(bundle.id, card, tuple(each.hold for each in offers), tuple(ended.items()))
    shown = f"{view.line}\n{plain_text(card)}"
    return Bundled(view, shown, offers, dict.fromkeys((hold.id for hold in holds), shown))


def _digest(bundle: Bundle, cards: Sequence[CardView], url: str) -> Bundled:
    lines = tuple(_line(card) for card in cards)
    view = DigestView(bundle.id, lines, url)
    rows = {
        line.id: f"{line.requester}: {line.what} ({line.risk.value} risk). {line.sentence or 'Waiting'}"
        for line in lines
    }
    return Bundled(view, "\n".join(rows.values()), tuple(Covered(line.id, line.digest) for line in view.waiting), rows)


def _line(view: CardView) -> DigestLine:
    """A digest shows a few words: what must be read in full before it counts has not been read there."""
    return replace(digest_line(view), unread=view.risk is Risk.HIGH)


def _ending(hold: Hold) -> tuple[str, str]:
    return hold.state.value, hold.decisions[-1].by if hold.decisions else ""
