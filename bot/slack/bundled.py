"""One Slack message for several holds: the card of identical requests, or a channel's digest. Pure but for templates."""

from __future__ import annotations

from collections.abc import Sequence

from bot.bundle_views import Off, bundled
from bot.platform import Rendering
from bot.shared_views import BundleView
from bot.slack.digest import digest_blocks, digest_text
from bot.slack.render import CARD_CHARACTERS, bundle_blocks, bundle_text
from holdpoint.model import Hold
from holdpoint.policy.mask import Masks
from holdpoint.store.bundles import Bundle


def bundle_rendering(bundle: Bundle, holds: Sequence[Hold], *, link_base: str, masks: Masks, off: Off) -> Rendering:
    """The card of ``bundle``, whose holds are ``holds`` as they are now."""
    what = bundled(bundle, holds, link_base=link_base, masks=masks, limit=CARD_CHARACTERS, off=off)
    if isinstance(what.view, BundleView):
        return what.rendering({"text": bundle_text(what.view), "blocks": bundle_blocks(what.view)})
    return what.rendering({"text": digest_text(what.view), "blocks": digest_blocks(what.view)})
