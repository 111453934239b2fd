"""The page on which an approval is confirmed, over real HTTP, with a fresh sign-in as the proof. Passkeys: test_passkeys.py."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest

from holdpoint.errors import StepUpNeeded
from holdpoint.model import DecisionKind, Edit, EventKind, Factor, Hold, PartRole, ReviewTerms, Role, State
from tests.bot.web.signing import Tab
from tests.bot.world import Site, conversation
from tests.conftest import MovingClock
from tests.support.builders import make_decision
from tests.support.oidc import OpenId
from tests.support.waiting import wait_until

SAM, KIM = "sam@example.com", "kim@example.com"
STEP_UP = ReviewTerms(step_up_ms=300_000)
HOSTILE = '<script>alert(1)</script> "password" \u202e'


async def held(site: Site, text: str = "what is the admin password") -> Hold:
    return await site.world.hold_draft(conversation((PartRole.USER, text), terms=STEP_UP))


async def asked(site: Site, hold: Hold, *, by: str = SAM, **more: object) -> str:
    """An approval that was made elsewhere, with a key; the path of its link."""
    who = await site.world.who(by, "api")
    with pytest.raises(StepUpNeeded) as needed:
        await site.world.decider.decide(hold.id, who, DecisionKind.APPROVE, digest=hold.digest, **more)  # type: ignore[arg-type]
    return "/confirm/" + needed.value.url.rpartition("/")[2]


async def stored(site: Site, hold: Hold) -> Hold:
    return await site.world.store.holds.get(hold.id)


def problem(page: Tab) -> str:
    found = re.search(r'role="alert" id="notice">([^<]*)<', page.page)
    return unescape(found[1]) if found else ""


async def approve(sam: Tab, hold: Hold) -> None:
    await sam.get(f"/review/{hold.id}")
    await sam.post(f"/review/{hold.id}", {"csrf": sam.csrf, "decision": "approve", "digest": hold.digest})


async def test_a_fresh_sign_in_counts_at_once(site: Site, sam: Tab) -> None:
    hold = await held(site)
    await sam.sign_in()
    await approve(sam, hold)
    assert (sam.status, sam.url) == (200, f"{site.url}/review/{hold.id}")
    assert [done.factor for done in (await stored(site, hold)).decisions] == [Factor.SIGN_IN]


async def test_an_old_one_leads_to_the_page_and_by_the_provider_back(
    site: Site, sam: Tab, clock: MovingClock, provider: OpenId
) -> None:
    await sam.sign_in()
    clock.forward(seconds=301)
    hold = await held(site, HOSTILE)
    await approve(sam, hold)
    assert "/confirm/" in sam.url
    link = sam.url.removeprefix(site.url)
    assert "Your approval does not count yet." in sam.page
    assert "<script>alert" not in sam.page
    assert "⟨U+202E⟩" in sam.page
    assert "Confirm and approve" not in sam.page
    assert (await stored(site, hold)).decisions == ()
    before = len(provider.asked)
    await sam.get(f"{link}/sign-in")
    assert sam.url == site.url + link
    assert provider.asked[before]["max_age"] == "300"
    assert "Confirm and approve it" in sam.page
    assert (await stored(site, hold)).decisions == ()  # looking changes nothing
    await sam.post(link, {"csrf": sam.csrf})
    assert (sam.status, sam.url) == (200, site.url + link)
    assert "You have confirmed that it was you" in sam.page
    (done,) = (await stored(site, hold)).decisions
    assert (done.by, done.channel, done.factor) == (SAM, "web", Factor.SIGN_IN)
    kinds = [each.kind for each in await site.world.store.outbox.follow("events", after="0", block_ms=10)]
    assert kinds.index(EventKind.HOLD_CONFIRMING) < kinds.index(EventKind.HOLD_APPROVED)
    assert EventKind.CARD_SHOWN in kinds


async def test_without_the_proof_nothing_happens(site: Site, sam: Tab, clock: MovingClock) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    await sam.sign_in(target=link)
    clock.forward(seconds=301)
    await sam.post(link, {"csrf": sam.csrf})
    assert sam.status == 409
    assert "confirm that it is you" in problem(sam)
    assert (await stored(site, hold)).decisions == ()


async def test_a_passkey_that_is_none_is_refused(site: Site, sam: Tab) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    await sam.sign_in(target=link)
    for text in ("{}", "x", "[]", '{"id": 1}', "null", "\x00"):
        await sam.post(link, {"csrf": sam.csrf, "credential": text})  # though the sign-in itself would do
        assert (sam.status, problem(sam)) == (403, "The browser's answer cannot be read. Try again."), text
    assert (await stored(site, hold)).decisions == ()


async def test_another_person_learns_nothing(site: Site, sam: Tab, provider: OpenId) -> None:
    hold = await held(site, "the very secret password")
    link = await asked(site, hold, reason="because")
    provider.person = {"sub": "u-kim", "email": KIM, "name": "Kim"}
    for _ in range(2):
        await sam.sign_in(target=link)
        assert (sam.status, sam.url) == (403, site.url + link)
        for word in ("very secret", hold.id, SAM, "because", "contractors"):
            assert word not in sam.page
    csrf = sam.csrf
    for path, status in ((link, 403), (f"{link}/challenge", 404)):
        await sam.post(path, {"csrf": csrf})
        assert (sam.status, "very secret" in sam.page) == (status, False)
    await sam.get(f"{link}/sign-in")
    assert sam.status == 403
    assert (await stored(site, hold)).decisions == ()


async def test_what_did_not_come_from_the_page_is_refused(site: Site, sam: Tab) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    await sam.sign_in(target=link)
    token = {"csrf": sam.csrf}
    for fields, headers in (
        ({}, {}),
        ({"csrf": "x"}, {}),
        (token, {"Sec-Fetch-Site": "cross-site"}),
        (token, {"Sec-Fetch-Site": "same-site"}),
    ):
        for path in (link, f"{link}/challenge", "/passkeys", "/passkeys/challenge", "/passkeys/remove"):
            await sam.post(path, fields, **headers)
            assert sam.status == 403, (path, fields, headers)
    assert (await stored(site, hold)).decisions == ()


async def test_nobody_is_asked_to_sign_in_first(site: Site, sam: Tab) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    await sam.get(link, follow=False)
    assert (sam.status, sam.trail) == (303, [f"/sign-in?next={link}"])
    await sam.post(link, {})
    assert hold.id not in sam.page
    assert (await stored(site, hold)).decisions == ()


async def test_a_link_that_is_none_says_so(sam: Tab) -> None:
    await sam.sign_in(target="/review")
    for token in ("x", "a" * 32, "a" * 64):
        await sam.get(f"/confirm/{token}")
        assert (sam.status, "There is nothing to confirm" in sam.page) == (404, True)
        await sam.get(f"/confirm/{token}/sign-in")
        assert sam.status == 404


async def test_the_page_says_who_was_first(site: Site, sam: Tab) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    rejection = make_decision(hold, DecisionKind.REJECT, KIM)
    await site.world.store.holds.decide(await stored(site, hold), rejection, state=State.REJECTED, body=None)
    await sam.sign_in(target=link)
    assert f"Rejected by {KIM}" in sam.page
    assert "Confirm and approve" not in sam.page
    await sam.post(link, {"csrf": sam.csrf})
    assert (sam.status, f"Already rejected by {KIM}" in sam.page) == (409, True)


async def test_a_text_that_was_edited_since_is_not_confirmed(site: Site, sam: Tab) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    kim = replace(await site.world.who(KIM), auth_ms=site.world.clock())
    edits = [Edit("messages/0/content", "another password")]
    decided = await site.world.decider.decide(hold.id, kim, DecisionKind.APPROVE, digest=hold.digest, edits=edits)
    assert decided.digest != hold.digest
    await sam.sign_in(target=link)
    assert "Approved with edits by Kim" in sam.page
    assert "Confirm and approve" not in sam.page


async def test_edits_are_shown_as_a_diff_and_the_whole_text_is_reachable(site: Site, sam: Tab) -> None:
    hold = await held(site, "the password " + "and more " * 25_000 + "THE END")
    link = await asked(site, hold, edits=[Edit("messages/0/content", "only this")], reason="softer", seen_whole=True)
    await sam.sign_in(target=link)
    assert "only this" in sam.page
    assert "softer" in sam.page
    await sam.get(f"{link}?whole")
    assert "THE END" in sam.page
    assert "characters are not shown" not in sam.page


async def test_twins_are_confirmed_together(site: Site, sam: Tab, clock: MovingClock) -> None:
    await sam.sign_in()
    clock.forward(seconds=301)
    holds = [await held(site, "the same password") for _ in range(3)]
    await sam.get(f"/review/{holds[0].id}")
    also = " ".join(each.id for each in holds[1:])
    fields = {"csrf": sam.csrf, "decision": "approve", "digest": holds[0].digest, "also": also}
    await sam.post(f"/review/{holds[0].id}", fields)
    link = sam.url.removeprefix(site.url)
    assert "× 3 identical" in sam.page
    await sam.get(f"{link}/sign-in")
    assert "Confirm and approve all 3" in sam.page
    await sam.post(link, {"csrf": sam.csrf})
    assert [(await stored(site, each)).state for each in holds] == [State.APPROVED] * 3


async def test_a_second_tab_and_a_second_click_find_it_done(site: Site, sam: Tab) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    await sam.sign_in(target=link)
    csrf = sam.csrf
    for _ in range(2):
        await sam.post(link, {"csrf": csrf})
        assert (sam.status, "You have confirmed that it was you" in sam.page) == (200, True)
    assert len((await stored(site, hold)).decisions) == 1


async def test_ten_minutes_later_it_is_over(site: Site, sam: Tab, clock: MovingClock) -> None:
    hold = await held(site)
    link = await asked(site, hold)
    await sam.sign_in(target=link)
    clock.forward(seconds=599)
    await sam.get(link)
    assert sam.status == 200
    clock.forward(seconds=1)
    await sam.get(link)
    assert sam.status == 404


async def test_the_api_says_where_to_confirm(site: Site) -> None:
    hold = await held(site)
    status, body = await site.decide(hold)
    assert (status, body["error"]["code"], body["error"]["hold"]) == (403, "confirmation_needed", hold.id)
    assert body["error"]["confirm_url"].startswith(f"{site.url}/confirm/")
    assert body["error"]["confirm_url"] in body["error"]["message"]
    _, seen = await site.api("GET", f"/holds/{hold.id}")
    assert [each["by"] for each in seen["confirming"]] == [SAM]
    assert (await site.decide(hold, "reject", reason="no"))[0] == 201
    _, seen = await site.api("GET", f"/holds/{hold.id}")
    assert (seen["confirming"], seen["decisions"][0]["factor"]) == ([], None)


async def test_passkeys_are_not_offered_at_an_address(site: Site, sam: Tab) -> None:
    await sam.sign_in(target="/passkeys")
    assert "Browsers know passkeys only where" in sam.page
    await sam.post("/passkeys/challenge", {"csrf": sam.csrf})
    assert sam.status == 404


async def test_an_agents_key_has_no_passkeys(site: Site, sam: Tab) -> None:
    key = await site.world.add_key("bot-2", roles=frozenset({Role.REVIEWER}), owner=SAM)

    async def is_in() -> bool:
        await sam.post("/sign-in", {"key": key})
        return sam.is_in

    await wait_until(is_in, "the bot knows the key", every=0.5)
    await sam.get("/passkeys")
    assert sam.status == 403
