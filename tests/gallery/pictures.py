"""What the gallery shows of Slack: a name, a sentence and the blocks of each picture. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bot.cards import CardView
from bot.shared_views import BundleView, DigestView, digest_line
from bot.slack.modals import view_modal
from bot.slack.render import CARD_CHARACTERS, bundle_blocks, card_blocks, digest_blocks, dm_blocks
from holdpoint.model import Hold, State
from tests.gallery.cases import LINK, decided, long_one, several, told, view_of, waiting
from tests.gallery.holds import ended, pending


@dataclass(frozen=True, slots=True)
class Picture:
    """``kind`` is "message" or "modal"; ``title`` is a modal's."""

    name: str
    says: str
    blocks: list[dict[str, Any]]
    kind: str = "message"
    title: str = ""


def pictures() -> Iterator[Picture]:
    """All of them, in the order of the gallery's page."""
    for name, says, of in (*waiting(), *decided()):
        yield Picture(f"card-{name}", says, card_blocks(_view(of)))
    yield from _floods()
    for name, says, of in told():
        yield Picture(f"dm-{name}", says, dm_blocks(_view(of)))
    page = view_modal(view_of(long_one(), limit=None), 1)
    yield Picture("view-full", "View full: everything, page by page.", page.modal["blocks"], "modal", "Held request")


def _view(of: Hold) -> CardView:
    return view_of(of, limit=CARD_CHARACTERS)


def _floods() -> Iterator[Picture]:
    ids = tuple(f"h{number:02}k2m9qx4w8r3t6y1z5c0v8" for number in range(12))
    bundle = BundleView("b1", _view(pending()), ids)
    yield Picture("bundle-pending", "Twelve identical requests share a card.", bundle_blocks(bundle))
    done = BundleView("b1", _view(ended(State.APPROVED)), (), ((State.APPROVED, 10), (State.CANCELLED, 2)))
    yield Picture("bundle-decided", "What became of them.", bundle_blocks(done))
    lines = tuple(digest_line(_view(each)) for each in several())
    yield Picture(
        "digest-pending",
        "A channel near Slack's limit: many holds on one card.",
        digest_blocks(DigestView("b2", lines, f"{LINK}/review", more=14)),
    )
    over = tuple(digest_line(_view(replace(ended(State.APPROVED), id=each.id))) for each in several())
    yield Picture("digest-decided", "All of them decided.", digest_blocks(DigestView("b2", over, f"{LINK}/review")))
