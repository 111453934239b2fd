"""App Home: what waits for me, what became of mine, how things stand; kept true while it is open."""

from __future__ import annotations

import pytest

from bot import slack as names
from bot.dashboard import Dashboard, Dashboards
from holdpoint.model import Requester, Reviewer, Risk, State
from holdpoint.store.quiet import Quiet
from tests.bot.slack.conftest import MakeWorld, World
from tests.bot.slack.hands import modal_of, stored
from tests.fakes.slack import Fault, User, View
from tests.fakes.slack.rules import view_bytes
from tests.support.builders import make_decision
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

LEE = Requester("lee@example.com", frozenset({"platform-leads"}), name="Lee")


@pytest.fixture
async def http(make_world: MakeWorld) -> World:
    return await make_world("http")


async def shows(world: World, user: User, words: str) -> View:
    def shown() -> View | None:
        view = world.slack.home(user)
        return view if view is not None and words in view.seen.text else None

    return await wait_until(shown, f"{user.name}'s home shows {words!r}")


async def test_the_queue_has_the_most_urgent_first_with_the_same_buttons(world: World) -> None:
    late = await world.hold("late password", timeout_ms=900_000, risk=Risk.HIGH, escalations=())
    low = await world.hold("low password", timeout_ms=600_000, risk=Risk.LOW, escalations=())
    home = await world.slack.open_home(world.sam)
    text = home.seen.text
    assert "For you to decide: 2" in text
    assert text.index("low password") < text.index("late password")
    assert (await world.slack.click_in_view(world.sam, home, names.APPROVE, holding=low.id)).acked
    assert (await stored(world, low)).state is State.APPROVED
    home = await shows(world, world.sam, "For you to decide: 1")
    assert (await world.slack.click_in_view(world.sam, home, names.REJECT, holding=late.id)).acked
    assert (await world.slack.submit(world.sam, modal_of(world, world.sam), {"reason": "no"})).acked
    assert (await stored(world, late)).state is State.REJECTED
    await shows(world, world.sam, "Nothing waits for you")


async def test_new_work_appears_by_itself(world: World) -> None:
    await world.slack.open_home(world.sam)
    await shows(world, world.sam, "Nothing waits for you")
    hold = await world.hold()
    await shows(world, world.sam, "For you to decide: 1")
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    await shows(world, world.sam, "Nothing waits for you")


async def test_the_requesters_own_requests_with_their_state(world: World) -> None:
    hold = await world.hold()
    agents = await world.hold("agent password", requester=Requester("bot", frozenset(), owner="dana@example.com"))
    await world.hold("not hers: password", requester=LEE)
    home = await world.slack.open_home(world.dana)
    assert "Your request is held for review" in home.seen.text
    assert "agent of dana@example.com" in home.seen.text
    assert "not hers" not in home.seen.text
    assert names.APPROVE not in home.buttons
    assert (await world.slack.click_in_view(world.dana, home, names.CANCEL, holding=agents.id)).acked
    await shows(world, world.dana, "Your request was cancelled")
    await world.store.holds.decide(hold, make_decision(hold), state=State.APPROVED, body=None)
    home = await shows(world, world.dana, "Your request was approved")
    assert names.CANCEL not in home.buttons


async def test_only_the_last_ten_of_ones_own(http: World) -> None:
    for number in range(12):
        await http.hold(f"password number {number:02}")
    text = (await http.slack.open_home(http.dana)).seen.text
    assert text.count("Your request is held for review") == 10
    assert "number 11" in text
    assert "number 01" not in text


async def test_an_admin_sees_how_things_stand(world: World) -> None:
    await world.hold()
    await world.store.cards.failed("slack:C0GONE", "Slack's chat.postMessage answers channel_not_found <!here>")
    text = (await world.slack.open_home(world.lee)).seen.text
    for words in ("Held now", "version 1", "Routes", "slack:C0GONE", "channel_not_found <!here>"):
        assert words in text
    assert "Overview" not in (await world.slack.open_home(world.sam)).seen.text


async def test_a_stranger_reads_what_to_do(world: World) -> None:
    guest = world.slack.workspace.add_user("Guest", "guest@example.com", is_restricted=True)
    text = (await world.slack.open_home(guest)).seen.text
    assert "Guests of this Slack workspace cannot decide." in text
    assert "Ask an admin" in text
    assert "ask an admin of Holdpoint to put you into a group" in (await world.slack.open_home(world.ola)).seen.text


@pytest.mark.promise(7)
async def test_texts_are_text(world: World) -> None:
    await world.hold("the password <!channel> *bold* <https://evil.test|click> :bomb: `code`")
    for user in (world.sam, world.dana):
        seen = (await world.slack.open_home(user)).seen
        assert "<!channel> *bold* <https://evil.test|click> :bomb: `code`" in seen.text
        assert seen.notified == []


@pytest.mark.promise(2)
async def test_a_home_shows_little_of_a_text_so_high_risk_needs_the_rest(world: World) -> None:
    hold = await world.hold("the password " + "and more " * 80)  # whole on a card, not here
    home = await world.slack.open_home(world.sam)
    assert (await world.slack.click_in_view(world.sam, home, names.APPROVE)).acked
    assert (await stored(world, hold)).state is State.PENDING
    modal = modal_of(world, world.sam)
    assert "to its last page" in modal.seen.text  # one page: it is read now
    await world.slack.close_view(world.sam, modal)
    assert (await world.slack.click_in_view(world.sam, home, names.APPROVE)).acked
    assert (await stored(world, hold)).state is State.APPROVED


async def test_what_went_wrong_is_said_in_a_modal(world: World) -> None:
    hold = await world.hold()
    home = await world.slack.open_home(world.sam)
    await world.store.holds.decide(hold, make_decision(hold, by="kim@example.com"), state=State.APPROVED, body=None)
    assert (await world.slack.click_in_view(world.sam, home, names.APPROVE)).acked
    assert "Already approved by kim@example.com" in modal_of(world, world.sam).seen.text


async def test_quiet_is_set_here_too(world: World) -> None:
    home = await world.slack.open_home(world.dana)
    assert (await world.slack.click_in_view(world.dana, home, names.QUIET, value="decisions")).acked
    assert await world.store.quiet.get("dana@example.com") is Quiet.DECISIONS


async def test_a_full_house_keeps_slacks_limits(http: World) -> None:
    nasty = "password \u202e" + "💣\u0000<!here>" * 4_000
    for number in range(14):
        requester = Requester(
            "lee@example.com" if number % 2 else "dana@example.com", frozenset(f"g{n}" * 30 for n in range(40))
        )
        await http.hold(nasty, requester=requester)
        await http.store.cards.failed(f"slack:C{number}" + "<" * 300, "no " * 2_000)
    http.slack.workspace.usergroups["S0ONCALL"] = [http.lee.id]
    for user in (http.sam, http.lee, http.dana):
        home = await http.slack.open_home(user)
        assert len(home.content["blocks"]) <= 100
        assert view_bytes(home.content) < 250_000
    assert "4 more" in (await http.slack.open_home(http.sam)).seen.text


async def test_what_changes_while_a_page_waits_for_its_turn_is_on_it(
    http: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of one change are drawn from one look at the holds, one after the other."""
    drawn: list[tuple[str, int]] = []
    of = Dashboards.of

    async def noted(self: Dashboards, person: Reviewer, *, since_ms: int) -> Dashboard:
        page = await of(self, person, since_ms=since_ms)
        drawn.append((person.principal, page.queued))
        return page

    for user in (http.sam, http.kim):
        await http.slack.open_home(user)
    monkeypatch.setattr(Dashboards, "of", noted)
    hold = await http.hold()
    first = await wait_until(lambda: next((who for who, queued in drawn if queued), ""), "one of the two has it")
    await http.store.holds.decide(hold, make_decision(hold, by="lee@example.com"), state=State.APPROVED, body=None)
    before = len(drawn)

    def other() -> list[int]:
        return [queued for who, queued in drawn[before:] if who != first]

    await wait_until(lambda: other()[-1:] == [0], "the other one does not have it any more")


async def test_nothing_is_sent_when_nothing_changed(http: World) -> None:
    await http.slack.open_home(http.sam)
    count = http.slack.count("views.publish")
    hold = await http.hold(requester=LEE, requirements=())  # nobody's to decide on
    await http.card(hold, http.leads)
    await http.hold()
    await shows(http, http.sam, "For you to decide: 1")
    assert http.slack.count("views.publish") == count + 1


async def test_a_page_of_another_bot_is_not_covered_by_an_older_one(http: World) -> None:
    await http.slack.open_home(http.sam)
    other = http.slack.home(http.sam)
    assert other is not None
    other.hash = "of-another-bot"
    await http.hold()
    await shows(http, http.sam, "For you to decide: 1")
    assert [c.answer for c in http.slack.calls if c.method == "views.publish"].count("hash_conflict") == 1


@pytest.mark.parametrize(
    "fault", [Fault("limited", retry_after=1), Fault("status", status=503), Fault("reset")], ids=lambda f: f.kind
)
async def test_a_page_that_slack_did_not_take_is_sent_again(
    http: World, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.home.RETRY_MS", 50)
    await http.slack.open_home(http.sam)
    http.slack.fault("views.publish", fault)
    await http.hold()
    await shows(http, http.sam, "For you to decide: 1")


async def test_a_workspace_without_a_home_tab_is_left_alone(http: World) -> None:
    http.slack.workspace.home_tab = False
    await http.slack.event(
        {"type": "app_home_opened", "user": http.sam.id, "channel": "D1", "tab": "home", "event_ts": "1.0"}
    )
    await wait_until(lambda: [c for c in http.slack.calls if c.method == "views.publish"], "it was tried")
    http.slack.workspace.home_tab = True
    await http.hold()
    await http.slack.open_home(http.sam)
    assert http.slack.count("views.publish") == 1


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"user": ""},
        {"user": "U0NOBODY", "tab": "home"},
        {"user": "U0BOT", "tab": "messages"},
        {"tab": "home", "view": None},
    ],
)
async def test_an_odd_event_hurts_nobody(http: World, event: dict[str, object]) -> None:
    deliveries = await http.slack.event({"type": "app_home_opened", **event})
    assert deliveries[0].acked
    assert "Nothing waits" in (await http.slack.open_home(http.sam)).seen.text


async def test_after_a_lost_store_the_page_is_true_again(make_world: MakeWorld, redis_server: RedisServer) -> None:
    world = await make_world("http", url=redis_server.url)
    await world.slack.open_home(world.sam)
    redis_server.kill()
    await wait_until(lambda: not world.live.is_fresh, "the store is gone")
    redis_server.start()
    await wait_until(lambda: world.live.is_fresh, "the store is back")
    await world.hold()
    await shows(world, world.sam, "For you to decide: 1")


async def test_a_crowd_is_served_at_slacks_pace(http: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.slack.home.MOST_HOMES", 3)
    users = [http.slack.workspace.add_user(f"u{n}", f"u{n}@example.com") for n in range(5)]
    for user in users:
        await http.slack.event({"type": "app_home_opened", "user": user.id, "tab": "home"})
    await wait_until(lambda: all(http.slack.home(user) for user in users[-3:]), "the last three are served")
    assert len(http.app.homes) <= 3
