"""`holdpoint login`: a short-lived token for SDKs and curl, from one's own identity provider.

``eval "$(holdpoint login)"`` puts it where SDKs look for a key. Standard output has lines for ``sh`` and nothing else;
what people read goes to standard error. The token is kept nowhere.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click

from holdpoint import logs
from holdpoint.cli.common import json_option, print_json
from holdpoint.cli.login_flows import LoggedIn, Login
from holdpoint.clock import now_ms
from holdpoint.errors import ConfigurationError
from holdpoint.settings import load_settings
from holdpoint.tokens.grants import Client, Grants
from holdpoint.tokens.providers import Providers
from holdpoint.urls import is_safe

VARIABLES = ("OPENAI_API_KEY", "HOLDPOINT_TOKEN")


@click.command()
@click.option("--issuer", metavar="URL", help="The identity provider (HOLDPOINT_LOGIN_ISSUER).")
@click.option("--client-id", metavar="ID", help="As which client to ask there (HOLDPOINT_LOGIN_CLIENT_ID).")
@click.option("--scope", metavar="TEXT", default="", help="What to ask for; usually openid, email, profile, groups.")
@click.option("--device", is_flag=True, help="Sign in on another device: this machine has no browser.")
@json_option
def login(*, issuer: str | None, client_id: str | None, scope: str, device: bool, as_json: bool) -> None:
    """Sign in, and print the token: eval "$(holdpoint login)"."""
    settings = load_settings()
    logs.configure("ERROR", settings.log_format)  # what goes wrong is said in one line, by us
    url, client = issuer or settings.login_issuer, client_id or settings.login_client_id
    if not url:
        raise ConfigurationError("--issuer: needed, or HOLDPOINT_LOGIN_ISSUER")
    if not client:
        raise ConfigurationError("--client-id: needed, or HOLDPOINT_LOGIN_CLIENT_ID")
    if not is_safe(url) or urlsplit(url).query or urlsplit(url).fragment:
        raise ConfigurationError("--issuer: must be an https:// address, as the provider's tokens have it in `iss`")
    logged_in = asyncio.run(_log_in(url, Client(client, settings.login_client_secret), scope, device=device))
    until = datetime.fromtimestamp(logged_in.expires_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if as_json:
        print_json({"token": logged_in.token, "issuer": url, "principal": logged_in.who, "expires_at": until})
    else:
        for variable in VARIABLES:
            click.echo(f"export {variable}={shlex.quote(logged_in.token)}")
        if sys.stdout.isatty():
            _say('To set these in your shell: eval "$(holdpoint login)"')
    _say(f"Signed in as {logged_in.who} until {until}.")


async def _log_in(issuer: str, client: Client, scope: str, *, device: bool) -> LoggedIn:
    providers, grants = Providers(clock=now_ms), Grants()
    try:
        await providers.start()
        await grants.start()
        flow = Login(issuer, client, scope, providers=providers, grants=grants, say=_say)
        return await (flow.by_device() if device else flow.by_browser())
    finally:
        await grants.aclose()
        await providers.aclose()


def _say(text: str) -> None:
    click.echo(text, err=True)
