"""`holdpoint teams package`: the zip that a Teams admin uploads, made of `manifests/teams/` and the operator's settings.

The manifest's placeholders, ``${{APP_ID}}`` and the like, are filled in its values after it has been parsed, so that no
setting can change its structure. The same settings make the same bytes.
"""

from __future__ import annotations

import importlib.metadata
import io
import ipaddress
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from holdpoint.cli.common import Refused, json_option, print_json, settings_with_logs
from holdpoint.errors import ConfigurationError
from holdpoint.visible import visible_line

FOLDER = Path(__file__).resolve().parents[2] / "manifests" / "teams"
"""Beside the packages, in a checkout and in an installed wheel alike."""
FILES = ("manifest.json", "color.png", "outline.png")

_LONGEST_URL = 2_000  # characters; the schema allows 2048 with the path of a page behind it
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_WHEN = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_NOT_PUBLIC = "Teams cannot reach {}: the package is for trying out only; see HOLDPOINT_PUBLIC_URL and --host"


@dataclass(frozen=True, slots=True)
class Address:
    """Where people reach the bot. ``url`` has no slash at the end; ``domain`` is the host, with a port where one is named."""

    url: str
    domain: str
    is_local: bool


@click.group()
def teams() -> None:
    """Microsoft Teams: the app that an admin uploads."""


@teams.command()
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("holdpoint-teams.zip"), show_default=True,
    help="The file to write.",
)  # fmt: skip
@click.option("--host", default="", help="https://… at which people reach the bot; else HOLDPOINT_PUBLIC_URL.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@json_option
def package(*, out: Path, host: str, force: bool, as_json: bool) -> None:
    """Make the app package: manifest and icons, for the bot of MicrosoftAppId."""
    settings = settings_with_logs()
    if not settings.teams_app_id:
        raise ConfigurationError("MicrosoftAppId: not set; it is the id of the Azure bot (docs/teams.md)")
    address = read_address(host or settings.link_base, "--host" if host else "HOLDPOINT_PUBLIC_URL")
    version = version_of(_installed_version())
    data = packed({"APP_ID": settings.teams_app_id, "URL": address.url, "DOMAIN": address.domain, "VERSION": version})
    _write(out, data, force=force)
    warnings = [_NOT_PUBLIC.format(address.domain)] if address.is_local else []
    for warning in warnings:
        click.echo(f"holdpoint: warning: {warning}", err=True)
    if as_json:
        made = {"file": str(out), "app_id": settings.teams_app_id, "domain": address.domain, "version": version}
        print_json({**made, "warnings": warnings})
    else:
        click.echo(visible_line(f"{out}: version {version} for {settings.teams_app_id} at {address.domain}"))


def read_address(text: str, name: str) -> Address:
    """``text`` as an address that an app may have; ``name`` is the setting that it comes from.

    Raises:
        ConfigurationError: it is no URL of a bare site, or it is not https and not this machine's own.
    """
    wrong = ConfigurationError(f"{name}: must be a URL such as https://holdpoint.example.com")
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise wrong from None
    host = (parts.hostname or "").rstrip(".")
    is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    if parts.scheme not in ("http", "https") or not is_bare or not _is_host(host) or len(text) > _LONGEST_URL:
        raise wrong
    is_local = _is_local(host)
    if parts.scheme == "http" and not is_local:
        raise ConfigurationError(f"{name}: must be https: Teams talks to nothing else")
    shown = f"[{host}]" if ":" in host else host
    domain = shown if port is None else f"{shown}:{port}"
    return Address(f"{parts.scheme}://{domain}{parts.path.rstrip('/')}", domain, is_local)


def version_of(text: str) -> str:
    """The three numbers that a Teams app's version is made of: ``0.2.0.dev3`` is ``0.2.0``."""
    release = re.match(r"\d+(\.\d+)*", text)
    numbers = release[0].split(".") if release else []
    return ".".join(str(int(number)) for number in [*numbers, "0", "0", "0"][:3])


def packed(values: Mapping[str, str]) -> bytes:
    """The package, with the placeholders filled by ``values``."""
    manifest = _filled(json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8")), values)
    contents = {name: (FOLDER / name).read_bytes() for name in FILES}
    contents["manifest.json"] = json.dumps(manifest, indent=2, ensure_ascii=False).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in FILES:
            archive.writestr(zipfile.ZipInfo(name, _WHEN), contents[name], zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\$\{\{(\w+)\}\}", lambda found: values[found[1]], value)
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, values) for key, each in value.items()}
    return value


def _write(path: Path, data: bytes, *, force: bool) -> None:
    """All of it or nothing.

    Raises:
        Refused: the file is there.
        ConfigurationError: it cannot be written.
    """
    if path.exists() and not force:
        raise Refused(f"{path} is there already; --force writes over it")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            made = Path(folder) / path.name
            made.write_bytes(data)
            made.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _is_host(host: str) -> bool:
    return bool(_HOST.fullmatch(host)) or _ip(host) is not None


def _is_local(host: str) -> bool:
    ip = _ip(host)
    return host == "localhost" or host.endswith(".localhost") or (ip is not None and ip.is_loopback)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _installed_version() -> str:
    try:
        return importlib.metadata.version("holdpoint")
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return ""
