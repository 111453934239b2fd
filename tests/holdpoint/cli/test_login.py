"""`holdpoint login`, the real program, against a provider that can lie; its browser is a small script."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from holdpoint.cli import main
from holdpoint.clock import now_ms
from holdpoint.policy.issuers import Issuer
from holdpoint.tokens.identity import identity_of
from holdpoint.tokens.providers import Providers
from tests.support.cli import Cli, Ended
from tests.support.oidc import OpenId, running_openid
from tests.support.waiting import wait_until

CLIENT = "holdpoint-cli"
BROWSER = """
import sys, urllib.request, urllib.error
try:
    urllib.request.urlopen(sys.argv[1], timeout=20).read()
except urllib.error.HTTPError:
    pass
print("something that a browser prints")
"""


@pytest.fixture
async def provider() -> AsyncIterator[OpenId]:
    async with running_openid(client=CLIENT, secret=None) as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, provider: OpenId) -> Cli:
    (tmp_path / "browser.py").write_text(BROWSER)
    (tmp_path / "webbrowser.py").write_text("raise SystemExit('a module of this folder')")
    browser = f"{sys.executable} {tmp_path / 'browser.py'} %s"
    settings = {"BROWSER": browser, "HOLDPOINT_LOGIN_ISSUER": provider.url, "HOLDPOINT_LOGIN_CLIENT_ID": CLIENT}
    return Cli(tmp_path, settings)


Here = Callable[..., Awaitable[Ended]]


@pytest.fixture
def here(cli: Cli, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """The same program, in this process: a start of its own takes longer than all of a sign-in."""
    monkeypatch.chdir(cli.folder)
    for name, value in cli.settings.items():
        monkeypatch.setenv(name, value)

    async def run(*arguments: str) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, arguments)
        out, err = capfd.readouterr()
        return Ended(int(str(ended.value.code)), out, err)

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield run
    root.handlers[:], root.level = handlers, level


async def run(cli: Cli, *arguments: str, **settings: str) -> Ended:
    return await asyncio.to_thread(cli, "login", *arguments, settings=settings)


async def test_the_browser_signs_in_and_the_shell_gets_the_token(cli: Cli, provider: OpenId, tmp_path: Path) -> None:
    ended = await run(cli)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert [line.partition("=")[0] for line in lines] == ["export OPENAI_API_KEY", "export HOLDPOINT_TOKEN"]
    token = lines[0].partition("=")[2]
    assert lines[1].endswith(token)
    assert token not in ended.err
    assert "Signed in as sam@example.com until " in ended.err
    (asked,) = provider.asked
    assert asked["scope"] == "openid email profile groups"
    assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    shell = subprocess.run(  # noqa: ASYNC221
        ["sh", "-c", 'eval "$1"; printf %s "$OPENAI_API_KEY|$HOLDPOINT_TOKEN"', "sh", ended.out],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shell.stdout == f"{token}|{token}"
    async with Providers(clock=now_ms) as providers:  # as the gateway does, by the audience of the policy's entry
        issuer = Issuer(provider.url, frozenset({CLIENT}), groups="groups")
        identity = identity_of(await providers.claims(token, issuer), issuer, {})
    assert identity.principal == "sam@example.com"


async def test_json_for_programs(here: Here, provider: OpenId) -> None:
    ended = await here("login", "--json", "--scope", "openid email")
    assert (ended.code, provider.asked[0]["scope"]) == (0, "openid email")
    found = ended.json
    assert sorted(found) == ["expires_at", "issuer", "principal", "token"]
    assert (found["issuer"], found["principal"]) == (provider.url, "sam@example.com")


async def test_a_client_with_a_secret(here: Here, provider: OpenId, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.secret = "not so secret"
    refused = await here("login")
    assert (refused.code, refused.out) == (1, "")
    monkeypatch.setenv("HOLDPOINT_LOGIN_CLIENT_SECRET", "not so secret")
    ended = await here("login")
    assert ended.code == 0
    assert "not so secret" not in ended.out + ended.err


async def test_on_another_device(cli: Cli, provider: OpenId) -> None:
    process = cli.start("login", "--device")
    try:
        await wait_until(lambda: len(provider.exchanged) > 1, "it has asked twice", seconds=60)
        assert process.poll() is None
        provider.approved.add("device-1")
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    assert process.returncode == 0, err
    assert "WDJB-MJHT" in err
    assert out.startswith("export OPENAI_API_KEY=eyJ")


LIES: dict[str, tuple[Callable[[OpenId], None], int, str]] = {
    "the person stops it": (lambda p: setattr(p, "sends", lambda f: {"error": "access_denied", "state": f["state"], "iss": p.url}), 1, "access_denied"),
    "another issuer": (lambda p: setattr(p, "sends", lambda f: f | {"iss": "https://evil.example.com"}), 1, "another identity provider"),
    "no issuer": (lambda p: setattr(p, "sends", lambda f: f | {"iss": None}), 1, "another identity provider"),
    "another nonce": (lambda p: p.says.update(nonce="x"), 1, "another nonce"),
    "another audience": (lambda p: p.says.update(aud="x"), 1, "another audience"),
    "another party": (lambda p: p.says.update(azp="x"), 1, "another client"),
    "an expired token": (lambda p: p.says.update(exp=1), 1, "expired"),
    "no id token": (lambda p: setattr(p, "grants", {"access_token": "x"}), 1, "no id token"),
    "a used code": (lambda p: setattr(p, "grants", (400, {"error": "invalid_grant", "error_description": "a\x1b[31mb\n"})), 1, "invalid_grant"),
    "a huge answer": (lambda p: setattr(p, "grants", b"x" * 300_000), 2, "does not answer"),
    "nobody there": (lambda p: setattr(p, "away", True), 2, "no OpenID provider answers there"),
    "another provider's document": (lambda p: p.metadata.update(issuer="https://evil.example.com"), 2, "no OpenID provider"),
    "no page to sign in at": (lambda p: p.metadata.update(authorization_endpoint=None), 2, "no page to sign in"),
    "a page that is not safe": (lambda p: p.metadata.update(authorization_endpoint="http://evil.example.com/"), 2, "no page to sign in"),
}  # fmt: skip


async def test_what_goes_wrong_is_one_line_and_no_token(cli: Cli, provider: OpenId, here: Here) -> None:
    before = dict(vars(OpenId()))
    for what, (lie, code, words) in LIES.items():
        for name in ("sends", "grants", "away"):
            setattr(provider, name, before[name])
        provider.says, provider.metadata = {}, {}
        lie(provider)
        ended = await here("login")
        assert (ended.code, ended.out) == (code, ""), what
        last = ended.err.splitlines()[-1]
        assert last.startswith("holdpoint: "), what
        assert words in last, what
        assert "\x1b" not in ended.err, what


async def test_only_the_right_answer_is_taken(cli: Cli, provider: OpenId, tmp_path: Path) -> None:
    """Others on this machine may knock; nothing comes of it."""
    provider.gate.clear()
    (tmp_path / "browser.py").write_text("import sys\nopen('url', 'w').write(sys.argv[1])")
    process = cli.start("login")
    try:
        provider.gate.set()
        await wait_until((tmp_path / "url").exists, "the browser opens", seconds=60)
        url = await wait_until((tmp_path / "url").read_text, "its address is there")
        async with aiohttp.ClientSession() as browser:
            async with browser.get(url, allow_redirects=False) as answer:
                right = answer.headers["Location"]
            base = right.partition("/callback")[0]
            for wrong in ("/", "/callback", "/callback?code=x&state=made-up", "/callback?state=&code=x", right.removeprefix(base) + "&state=x", "/other?" + right.partition("?")[2]):  # fmt: skip
                async with browser.get(base + wrong) as answer:
                    assert answer.status == 404, wrong
            async with browser.post(right) as answer:
                assert answer.status == 404
            reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
            writer.write(b"GET /" + b"x" * 40_000)
            await writer.drain()
            writer.close()
            assert reader is not None
            async with browser.get(right) as answer:
                assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        out, err = await asyncio.to_thread(process.communicate, timeout=60)
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
    assert process.returncode == 0, err
    assert out.startswith("export OPENAI_API_KEY=eyJ")


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        ([], {"HOLDPOINT_LOGIN_ISSUER": ""}, "--issuer: needed"),
        ([], {"HOLDPOINT_LOGIN_CLIENT_ID": ""}, "--client-id: needed"),
        (["--issuer", "http://login.example.com"], {}, "--issuer: must be an https:// address"),
        (["--issuer", "https://login.example.com/?x=1"], {}, "--issuer: must be an https:// address"),
        (["--issuer", "file:///etc/passwd"], {}, "--issuer: must be an https:// address"),
        (["--wrong"], {}, "No such option"),
    ],
)
async def test_what_is_missing_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch, arguments: list[str], settings: dict[str, str], words: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = await here("login", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
