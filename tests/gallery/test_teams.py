"""What Microsoft's renderer of Adaptive Cards makes of ours: everything known, nothing cut off, and texts that stay texts.

Needs Chromium, and the npm packages that `make gallery` installs; with neither there is nothing to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page

from bot.answers import Answer, Table
from bot.cards import CardView, card_view
from bot.inputs import editable
from bot.shared_views import BundleView, DigestView, digest_line
from bot.teams import render
from holdpoint.model import Hold, Part, PartRole, Reviewer, State
from holdpoint.policy.mask import Masks
from holdpoint.visible import visible, visible_line
from tests.bot.slack.surfaces import hold_with
from tests.corpus import ATTACKS
from tests.gallery.teams import LOOK, TeamsPicture, teams_pictures
from tests.gallery.tools import ADAPTIVE_CARDS, HERE, MARKDOWN, chromium
from tests.support.chromium import CHROMIUM

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or not ADAPTIVE_CARDS.is_file() or not MARKDOWN.is_file(),
    reason="no Chromium (apt-get install chromium), or no adaptivecards below build/gallery (make gallery-tools)",
)

WORD = "Qqq"
TEXTS = {
    **ATTACKS,
    "date": "{{DATE(2026-01-01T00:00:00Z)}} {{ DATE(2026-01-01T00:00:00Z, LONG)}}",
    "time": "{{TIME(2026-01-01T00:00:00Z)}}{{time(2026-01-01T00:00:00+01:00)}}",
    "date in braces": "{{{DATE(2026-01-01T00:00:00Z)}}}",
    "mention of teams": '<at>Sam</at> <at id="0">Everybody</at>',
    "strong": "**Approved** __by__ ***Sam***",
    "link with a title": '[Approve](https://evil.test "x") ![x](https://evil.test/x.png)',
    "reference": "[1]: https://evil.test\n[Approve][1]",
    "rule": "a\n\n---\n\n***\nb",
}
# Whatever is more than text. Ours has some: headings, buttons and inputs; an attack must not add to them.
ACTIVE = "a, b, strong, em, i, s, del, mark, code, pre, blockquote, ul, ol, li, table, hr, img, svg, script, iframe, h1, h2, h3, h4, h5, h6, button, input, textarea, select, option"
SEEN = """([card, look, active]) => {
  const { element, events } = rendered(card, look);
  document.body.replaceChildren(element);
  const counts = {};
  for (const each of element.querySelectorAll(active)) counts[each.tagName] = (counts[each.tagName] ?? 0) + 1;
  const values = [...element.querySelectorAll("textarea, input, option")].map((field) => field.value + "\\n" + field.textContent);
  for (const line of element.querySelectorAll("br")) line.replaceWith("\\n");
  return { events, counts, text: element.textContent + "\\n" + values.join("\\n") };
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 360, "height": 800}, timezone_id="UTC", locale="en-GB")
        opened.set_content((HERE / "teams.html").read_text().partition("<link")[0])
        for script in (MARKDOWN, ADAPTIVE_CARDS, HERE / "teams.js"):
            opened.add_script_tag(path=script)
        yield opened


def looked_at(page: Page, card: render.Card) -> dict[str, Any]:
    seen: dict[str, Any] = page.evaluate(SEEN, [card, LOOK, ACTIVE])
    return seen


@pytest.mark.parametrize("picture", list(teams_pictures()), ids=lambda picture: picture.name)
def test_the_renderer_knows_everything_and_shows_all_of_it_on_a_phone(page: Page, picture: TeamsPicture) -> None:
    assert looked_at(page, picture.card)["events"] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert sum(action.get("mode") != "secondary" for action in picture.card.get("actions", [])) <= 6


def test_what_the_renderer_does_not_know_is_told(page: Page) -> None:
    odd = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "Nonsense"}], "actions": []}
    assert looked_at(page, odd)["events"] != []


def test_this_page_formats_what_is_not_kept_from_it(page: Page) -> None:
    text = "**b** [l](https://evil.test) {{DATE(2026-01-01T00:00:00Z)}}\n\n- x"
    card = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": text}]}
    seen = looked_at(page, card)
    assert {"STRONG", "A", "LI"} <= seen["counts"].keys()
    assert "DATE" not in seen["text"]


def surfaces(text: str) -> dict[str, render.Card]:
    """Every card and dialog, with ``text`` wherever it can be."""
    hold, over = hold_with(text), hold_with(text, state=State.REJECTED)
    view, all_of_it = seen(hold), seen(hold, limit=None)
    inputs, elsewhere = editable(all_of_it, hold, longest=8_000, most=8)
    stranger = Reviewer(text, frozenset({text}), frozenset(), "teams", text)
    grant = render.grant_dialog(view, view.grant, (text,), whole=True) if view.grant else {}
    return {
        "card": render.card(view),
        "card that is over": render.card(seen(over)),
        "card that failed": render.card(seen(hold_with(text, state=State.FAILED))),
        "card for a stranger": render.card_for(seen(hold, viewer=stranger), stranger),
        "bundle": render.bundle_card(BundleView("b1", view, (hold.id, "h2"))),
        "digest": render.digest_card(DigestView("b2", (digest_line(view), digest_line(seen(over))), view.url)),
        "message": render.dm_card(view),
        "message that is over": render.dm_card(seen(over)),
        "view": render.view_dialog(all_of_it, 1, revealed=False, note="")[0],
        "edit": render.edit_dialog(all_of_it, inputs, elsewhere, whole=True),
        "reject": render.reject_dialog(view, view.reasons),
        "grant": grant,
        "answer": render.answer_card(
            Answer(True, (text,), Table(("a", "b"), ((text, text),)), cards=(view,), text=text)
        ),
        "notice": render.notice_card([text]),
        "sample": render.sample_card(view),
    }


def seen(hold: Hold, *, limit: int | None = render.CARD_CHARACTERS, viewer: Reviewer | None = None) -> CardView:
    return card_view(
        hold, now_ms=hold.created_ms, link_base="https://holdpoint.test", masks=Masks(), limit=limit, viewer=viewer
    )


def ways(text: str) -> set[str]:
    """How ``text`` may stand there: hidden characters written out; on one line; with blanks run together."""
    found = {visible(text), visible_line(text), visible(text).strip(), " ".join(visible(text).split())}
    return {way.replace("\r\n", "\n").replace("\r", "\n") for way in found}


@pytest.fixture(scope="module")
def harmless(page: Page) -> dict[str, dict[str, Any]]:
    return {surface: looked_at(page, card)["counts"] for surface, card in surfaces(WORD).items()}


@pytest.mark.promise(7)
@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_a_text_and_nothing_else(page: Page, harmless: dict[str, dict[str, int]], name: str) -> None:
    text = TEXTS[name].encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # what JSON can carry
    for surface, card in surfaces(text).items():
        attacked = looked_at(page, card)
        assert attacked["events"] == [], surface
        # Texts with hidden characters are not edited in a card: then there are fewer fields, never more of anything.
        added = {tag for tag, count in attacked["counts"].items() if count > harmless[surface].get(tag, 0)}
        assert added == set(), surface


@pytest.mark.promise(7)
@pytest.mark.parametrize("name", TEXTS)
def test_the_prompt_is_there_letter_by_letter(page: Page, name: str) -> None:
    text = TEXTS[name].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    hold = hold_with(WORD)
    part = Part("messages/3/content", PartRole.USER, text)
    hold = replace(hold, decisions=(), query=replace(hold.query, parts=(part,)))
    for card in (render.card(seen(hold)), render.view_dialog(seen(hold, limit=None), 1, revealed=False, note="")[0]):
        shown = looked_at(page, card)["text"].replace("\u00a0", " ")  # blanks that HTML would run together
        assert any(way in shown for way in ways(text))
