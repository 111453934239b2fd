"""What `doctor` says of e-mail, the sample mail, and who gets a mail server wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.admin.sample import sample_view
from bot.commands import Commands
from bot.email.app import EmailApp
from bot.email.checkup import check_up
from bot.email.sample import EmailSampler
from bot.email.sender import Sender
from bot.email.server import MailServer, Security, mail_server
from holdpoint.errors import ChannelError, ConfigurationError
from holdpoint.findings import Finding, Grade
from tests.bot.email.conftest import TEAM, World, page_text, tags_and_links
from tests.support.cli import Cli


async def examined(world: World, *, link_base: str = "https://holdpoint.test") -> dict[str, Finding]:
    server = mail_server(world.settings())
    found = await check_up(server, Sender(server), world.live, link_base=link_base)
    return {finding.check: finding for finding in found}


async def test_when_all_is_well(world: World) -> None:
    found = await examined(world)
    assert {finding.grade for finding in found.values()} == {Grade.OK}
    assert found["email"].said == (
        f"127.0.0.1:{world.server.port}: no TLS, no login; mail comes from holdpoint@corp.test"
    )
    assert f"email:{TEAM}" in found
    assert (world.server.mails, world.server.tried) == ([], [])


async def test_a_server_that_is_away(world: World) -> None:
    world.server.stop()
    found = (await examined(world))["email"]
    assert (found.grade, "cannot be reached" in found.said) == (Grade.FAIL, True)
    assert "587" in found.advice


async def test_a_server_that_does_not_let_us_in(world: World) -> None:
    server = MailServer("127.0.0.1", world.server.port, Security.STARTTLS, "holdpoint@corp.test")
    (finding, *_) = await check_up(server, Sender(server), world.live, link_base="https://x.test")
    assert (finding.grade, "no STARTTLS" in finding.said) == (Grade.FAIL, True)


@pytest.mark.parametrize(
    ("link_base", "grade"),
    [
        ("http://127.0.0.1:8081", Grade.WARN), ("http://localhost", Grade.WARN), ("http://[::1]:1", Grade.WARN),
        ("http://0.0.0.0:1", Grade.WARN), ("http://holdpoint.test", Grade.WARN), ("https://holdpoint.test", Grade.OK),
    ],
)  # fmt: skip
async def test_where_links_lead(world: World, link_base: str, grade: Grade) -> None:
    assert (await examined(world, link_base=link_base))["email links"].grade is grade


async def test_a_route_that_is_no_address(world: World) -> None:
    """Put there by an older version: the policy and the command refuse it now."""
    await world.store.config.add_route("contractors", "email:sam and kim", by="lee@example.com")
    await world.live.look()
    assert (await examined(world))["email:sam and kim"].grade is Grade.FAIL


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, "mail comes from h@corp.test"),
        ({"HOLDPOINT_SMTP_URL": ""}, 0, "not set up"),
        ({"HOLDPOINT_EMAIL_FROM": ""}, 1, "HOLDPOINT_EMAIL_FROM: not set"),
        ({"HOLDPOINT_SMTP_URL": "smtp://bot:hunter2@mail.test?starttls=never"}, 1, "HOLDPOINT_SMTP_URL: says starttls=never"),
    ],
)  # fmt: skip
async def test_doctor_says_it_all(
    world: World, redis_url: str, tmp_path: Path, changes: dict[str, str], code: int, said: str
) -> None:
    settings = {
        "HOLDPOINT_REDIS_URL": redis_url, "HOLDPOINT_SMTP_URL": f"smtp://127.0.0.1:{world.server.port}",
        "HOLDPOINT_EMAIL_FROM": "h@corp.test", "HOLDPOINT_PUBLIC_URL": "https://holdpoint.test", **changes,
    }  # fmt: skip
    ended = await asyncio.to_thread(Cli(tmp_path, settings), "doctor", "email")
    assert (ended.code, said in ended.out) == (code, True), ended
    assert "hunter2" not in ended.out + ended.err
    assert world.server.mails == []


async def test_a_sample_is_said_to_be_one_and_leads_nowhere(world: World) -> None:
    server = mail_server(world.settings())
    sampler = EmailSampler(server, Sender(server), clock=world.clock)
    view = sample_view("contractors", now_ms=world.clock(), link_base="https://holdpoint.test")
    await sampler.sample(f"email:{TEAM}", view)
    (mail,) = world.mails()
    assert "Sample: nothing is held" in page_text(mail.part("html"))
    assert "Sample: nothing is held" in mail.part("plain")
    assert tags_and_links(mail.part("html"))[1] == []
    for channel in ("email:x", "email:a@corp.test\r\nBcc: b@corp.test"):
        with pytest.raises(ChannelError):
            await sampler.sample(channel, view)


async def test_the_app_puts_sample_and_checkup_where_commands_find_them(world: World) -> None:
    app = await world.start()
    assert await app.is_ready()
    await app.stop()
    assert not await app.is_ready()
    world.apps.clear()


@pytest.mark.parametrize(("name", "value"), [("smtp_url", "ftp://x"), ("email_from", "")])
async def test_a_wrong_setting_keeps_the_bot_from_starting(world: World, name: str, value: str) -> None:
    commands = Commands.__new__(Commands)
    with pytest.raises(ConfigurationError):
        EmailApp(world.settings(**{name: value}), world.store, world.live, commands=commands, clock=world.clock)
