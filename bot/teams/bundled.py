"""One Teams message for several holds: the card of identical requests, or a channel's digest. Pure but for templates."""

from __future__ import annotations

from collections.abc import Sequence

from bot.bundle_views import Off, bundled
from bot.platform import Rendering
from bot.shared_views import BundleView
from bot.teams.render import CARD_CHARACTERS, bundle_card, bundle_summary, digest_card, digest_summary
from bot.teams.viewers import Viewers
from holdpoint.model import Hold
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle


def bundle_rendering(
    bundle: Bundle, holds: Sequence[Hold], *, link_base: str, masks: Masks, people: Viewers, off: Off
) -> Rendering:
    """The card of ``bundle``, whose holds are ``holds`` as they are now; ``people`` see a view of their own."""
    what = bundled(bundle, holds, link_base=link_base, masks=masks, limit=CARD_CHARACTERS, off=off)
    if isinstance(what.view, BundleView):
        card, summary = bundle_card(what.view), bundle_summary(what.view)
    else:
        card, summary = digest_card(what.view), digest_summary(what.view)
    return what.rendering({"card": card, "summary": summary, "people": people})
