"""`holdpoint demo`: everything on this machine, with a sample policy, people with keys, and a small model to talk to.

::

    ports free? ─ embedded Redis ─ policy and keys ─ demo model ─ gateway and bot ─ both ready ─ DATA/demo.json ─ print
"""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import re
import secrets
import shlex
import socket
import sys
import webbrowser
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import click

from holdpoint.cli.common import opened_store, settings_with_logs
from holdpoint.cli.pushing import push_text
from holdpoint.cli.supervisor import Child, Supervisor
from holdpoint.clock import now_ms
from holdpoint.demo.model import DemoModel
from holdpoint.demo.people import CLEAN_PROMPT, PEOPLE, RISKY_PROMPT, Files, Sheet, missing_records
from holdpoint.embedded import EmbeddedRedis
from holdpoint.errors import ConfigurationError
from holdpoint.policy import check_policy
from holdpoint.settings import Settings
from holdpoint.store import Store

_HOST = "127.0.0.1"
_STOP_WITHIN_S = 15.0
_READY_WITHIN_S = 60.0
_NOT_FOR_DEMOS = ("gateway_socket", "gateway_tls_cert", "proxy_protocol")
_LOCAL_UPSTREAM = re.compile(r"http://127\.0\.0\.1:(\d{1,5})(?!\d)")


@click.command()
@click.option("--port", type=click.IntRange(0, 65534), default=8080, show_default=True, help="The gateway's; 0: any.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data/demo"), show_default=True, help="Folder.")
@click.option("--no-browser", is_flag=True, help="Do not open the inbox in a browser.")
def demo(*, port: int, data: Path, no_browser: bool) -> int:
    """Run everything on this machine, with a sample policy and a model to try it on.

    The bot listens on the port after the gateway's. Ctrl-C stops everything; the same --data brings it all back.
    """
    port = _free_ports(port)
    settings = _settings(port, data)
    redis = EmbeddedRedis(data, settings.redis_fsync)
    redis.start()
    try:
        settings = settings.model_copy(update={"redis_url": redis.url})
        return asyncio.run(_run(settings, open_browser=not no_browser))
    finally:
        redis.stop()


async def _run(settings: Settings, *, open_browser: bool) -> int:
    files = Files(settings.data)
    files.withdraw()
    keys = files.keys()
    model = DemoModel()
    try:
        async with opened_store(settings) as store:
            for record in missing_records(keys, await store.config.keys(), now_ms=now_ms()):
                await store.config.put_key(record, by="holdpoint demo")
            await _serve_model(model, store, first_choice=settings.bot_port + 1)
        gateway = f"http://{_HOST}:{settings.gateway_port}"
        sheet = Sheet(gateway_url=gateway, bot_url=settings.link_base, base_url=f"{gateway}/demo/v1", **keys)

        async def when_ready() -> None:
            await _until_ready(sheet.gateway_url, sheet.bot_url)
            files.publish(sheet)
            _print_welcome(sheet, files.sheet)
            if open_browser and _has_display():
                await asyncio.to_thread(webbrowser.open, f"{sheet.bot_url}/review")

        environment = _environment(settings)
        children = [[Child("gateway", environment)], [Child("bot", environment)]]
        return await Supervisor(children, stop_within_s=_STOP_WITHIN_S).run(when_ready)
    finally:
        files.withdraw()
        await model.stop()


def _settings(port: int, data: Path) -> Settings:
    """The environment's settings, with everything that the demo brings itself on top."""
    named = settings_with_logs(data=data, gateway_port=port, bot_port=port + 1)
    for name in _NOT_FOR_DEMOS:
        if getattr(named, name):
            why = "the demo's gateway speaks plain HTTP on a port of this machine; start it without this setting"
            raise ConfigurationError(f"HOLDPOINT_{name.upper()}: {why}")
    own: dict[str, object] = {
        "redis_url": "",
        "data": data.absolute(),
        "ledger_url": "",
        "gateway_host": _HOST,
        "bot_host": _HOST,
        "public_url": "",
    }
    # People look at the demo in a terminal; whoever wants more than warnings says so.
    if "log_level" not in named.model_fields_set:
        own["log_level"] = "WARNING"
    if "log_format" not in named.model_fields_set:
        own["log_format"] = "text"
    return settings_with_logs(**{**own, "gateway_port": port, "bot_port": port + 1})


def _environment(settings: Settings) -> dict[str, str]:
    """The same settings for the child processes, in full words: an empty variable would not win over `.env`."""
    return {
        "HOLDPOINT_REDIS_URL": settings.redis_url,
        "HOLDPOINT_DATA": str(settings.data),
        "HOLDPOINT_LEDGER_URL": settings.ledger,
        "HOLDPOINT_GATEWAY_HOST": settings.gateway_host,
        "HOLDPOINT_GATEWAY_PORT": str(settings.gateway_port),
        "HOLDPOINT_BOT_HOST": settings.bot_host,
        "HOLDPOINT_BOT_PORT": str(settings.bot_port),
        "HOLDPOINT_PUBLIC_URL": settings.link_base,
        "HOLDPOINT_LOG_LEVEL": settings.log_level,
        "HOLDPOINT_LOG_FORMAT": settings.log_format,
    }


def _free_ports(port: int) -> int:
    """``port`` when it and the next one are free; of 0, any such pair.

    Raises:
        ConfigurationError: one of them is taken.
    """
    if port:
        for wanted, user in ((port, "gateway"), (port + 1, "bot")):
            why = _why_not(wanted)
            if why is not None:
                raise ConfigurationError(f"port {wanted} (for the {user}) {why}; choose another with --port")
        return port
    while True:
        # Below the ports that the kernel gives to clients: a client that asks for a server that is not there yet would
        # now and then be connected to itself, and take the server's place.
        port = 10_000 + secrets.randbelow(22_000)
        if _why_not(port) is None and _why_not(port + 1) is None:
            return port


def _why_not(port: int) -> str | None:
    """Why nothing can listen on the port; None when it is free."""
    try:
        socket.create_server((_HOST, port)).close()
    except OSError as error:
        return "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
    return None


async def _serve_model(model: DemoModel, store: Store, *, first_choice: int) -> None:
    """Start the model where the policy expects it; when that port is taken, elsewhere, and tell the policy."""
    stored = await store.config.policy()
    text = stored.text if stored else (resources.files("holdpoint.demo") / "policy.yaml").read_text(encoding="utf-8")
    policy, _ = check_policy(text, "policy")
    connection = policy.connections.get("demo")
    former = _LOCAL_UPSTREAM.fullmatch(connection.upstream.rstrip("/")) if connection else None
    try:
        await model.start(port=int(former[1]) if stored and former else first_choice)
    except (OSError, OverflowError):  # taken, or past the last port that there is
        await model.start(port=0)
    if former and former[0] != model.url:
        text = re.sub(re.escape(former[0]) + r"(?!\d)", model.url, text)
    if stored is None or text != stored.text:
        version = stored.version if stored else 0
        note = "the demo model moved" if stored else "the sample policy"
        await push_text(store, text, expect=version, note=note, by="holdpoint demo")


async def _until_ready(*urls: str) -> None:
    """Return when every process says that it is ready.

    Raises:
        ConfigurationError: one of them does not get ready.
    """
    for url in urls:
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                while not await asyncio.to_thread(_is_ready, url):  # noqa: ASYNC110 - another process gets ready
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ConfigurationError(f"{url} does not get ready; the log above says why") from None


def _is_ready(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or _HOST, address.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _print_welcome(sheet: Sheet, path: Path) -> None:
    reviewer = PEOPLE["reviewer_key"]
    click.echo(
        f"""
Holdpoint is ready.

  inbox    {sheet.bot_url}/review
           sign in as {reviewer.name}, who reviews for the group {reviewer.group}, with the key
           {sheet.reviewer_key}
  gateway  {sheet.base_url}   (the base URL of any OpenAI client)
  keys     {path}

A clean request passes at once:

{_curl(sheet, CLEAN_PROMPT)}

A risky one waits for you; run it, then approve it in the inbox:

{_curl(sheet, RISKY_PROMPT)}

Ctrl-C stops everything.
"""
    )
    sys.stdout.flush()


def _curl(sheet: Sheet, prompt: str) -> str:
    body = f'{{"model": "demo", "messages": [{{"role": "user", "content": "{prompt}"}}]}}'
    return (
        f"curl -s {sheet.base_url}/chat/completions -H 'Content-Type: application/json'"
        f" -H 'Authorization: Bearer {sheet.requester_key}' -d {shlex.quote(body)}"
    )


def _has_display() -> bool:
    """Whether a browser could show anything here."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
