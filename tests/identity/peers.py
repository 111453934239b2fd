"""Starts identity providers as programs of their own, and gets tokens from them as a client and a person would."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp

from tests.identity.tools import EMULATE, NEW_NODE, NODE, TOOLS
from tests.support.ports import free_port
from tests.support.waiting import wait_until

MOCK_PEOPLE = '{"sub":"dana","email":"Dana@example.com","email_verified":true,"name":"Dana","groups":["eng"]}'
OKTA_PEOPLE = """
okta:
  users: [{okta_id: 00udana, login: dana@example.com, email: dana@example.com, first_name: Dana, last_name: Miller}]
  groups: [{okta_id: 00gsec, name: "Security & Risk"}]
  group_memberships: [{group_okta_id: 00gsec, user_okta_id: 00udana}]
  oauth_clients:
    - {client_id: people, client_secret: people-secret, redirect_uris: ["https://client.example.com/callback"], auth_server_id: default}
"""
ENTRA_PEOPLE = """
microsoft:
  users: [{email: dana@example.com, name: Dana Miller}]
  oauth_clients:
    - {client_id: people, client_secret: people-secret, redirect_uris: ["https://client.example.com/callback"]}
"""
CALLBACK = "https://client.example.com/callback"


@asynccontextmanager
async def running(command: Sequence[str], *, ready: str) -> AsyncIterator[None]:
    """``command``, once it answers at ``ready``; ended at the end."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            async with aiohttp.ClientSession() as http:

                async def answers() -> bool:
                    assert process.poll() is None, f"{command} ended with {process.returncode}"
                    try:
                        async with http.get(ready) as answer:
                            return answer.status == 200
                    except aiohttp.ClientError:
                        return False

                await wait_until(answers, f"{ready} answers", seconds=30, every=0.1)
            yield
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)


@asynccontextmanager
async def oidc_provider_mock(*, port: int | None = None) -> AsyncIterator[str]:
    """The issuer of PyPI's ``oidc-provider-mock``. It has one key without an id, another one at every start."""
    port = port or free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "--user-claims", MOCK_PEOPLE]
    issuer = f"http://127.0.0.1:{port}"
    async with running(command, ready=f"{issuer}/.well-known/openid-configuration"):
        yield issuer


@asynccontextmanager
async def oidc_provider(*, port: int | None = None) -> AsyncIterator[str]:
    """The issuer of npm's ``oidc-provider``."""
    port = port or free_port()
    issuer = f"http://127.0.0.1:{port}/op"
    node = str(NEW_NODE) if NEW_NODE.is_file() else NODE or "node"
    async with running(
        [node, str(TOOLS / "provider.mjs"), str(port)], ready=f"{issuer}/.well-known/openid-configuration"
    ):
        yield issuer


@asynccontextmanager
async def emulated(service: str, seed: str, folder: Path) -> AsyncIterator[str]:
    """The address of one of the emulators, ``okta`` or ``microsoft``."""
    port = free_port()
    place = folder / f"{service}.yaml"
    place.write_text(seed)
    command = [str(NEW_NODE), str(EMULATE), "start", "-s", service, "-p", str(port), "--seed", str(place)]
    base = f"http://localhost:{port}"
    async with running(command, ready=f"{base}/.well-known/openid-configuration"):
        yield base


async def signed_in(
    issuer: str, *, fields: Mapping[str, str], scope: str, secret: str, **more: str
) -> Mapping[str, Any]:
    """The answer of the token endpoint to a code that a person got who filled in every form with ``fields``."""
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code", "client_id": "people", "redirect_uri": CALLBACK, "scope": scope, "state": "s",
        "nonce": "n", "code_challenge": challenge, "code_challenge_method": "S256", **more,
    }  # fmt: skip
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        async with http.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration") as answer:
            places = await answer.json()
        code = await _clicked_through(http, places["authorization_endpoint"], asked, fields)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
        headers = {"Authorization": aiohttp.encode_basic_auth("people", secret)}
        async with http.post(places["token_endpoint"], data=form | more, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return dict(await answer.json())


async def _clicked_through(
    http: aiohttp.ClientSession, url: str, asked: Mapping[str, str], fields: Mapping[str, str]
) -> str:
    """The code: follow what leads elsewhere, and send every form on the way with what is known of its fields."""
    method, query, data = "GET", dict(asked), None
    for _ in range(12):
        async with http.request(method, url, params=query, data=data, allow_redirects=False) as answer:
            if answer.status // 100 == 3:
                url = urljoin(url, answer.headers["Location"])
                method, query, data = "GET", {}, None
                if url.startswith(CALLBACK):
                    return parse_qs(urlsplit(url).query)["code"][0]
                continue
            page = await answer.text()
            assert answer.status == 200, page
        forms = re.findall(r"<form(.*?)</form>", page, re.DOTALL)
        form = next((each for each in forms if "dana" in each), forms[0])  # some show a form for each person
        action = re.search(r'action="([^"]*)"', form)
        url = urljoin(url, html.unescape(action[1])) if action is not None else url
        query = dict(asked) if action is None else {}
        known = re.findall(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', form)
        method, data = "POST", {name: html.unescape(value) for name, value in known} | dict(fields)
    raise AssertionError("there was no end to it")


async def program_token(issuer: str, *, client: str, secret: str, **fields: str) -> str:
    """An access token by client credentials."""
    headers = {"Authorization": aiohttp.encode_basic_auth(client, secret)}
    async with aiohttp.ClientSession(headers=headers) as http:
        form = {"grant_type": "client_credentials", **fields}
        async with http.post(f"{issuer}/token", data=form) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["access_token"])
