"""Reading what a client sends, within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bot.web.forms import BadForm
from bot.web.site import site_of

_SMALL_BYTES = 16_384
_MOST_FIELDS = 20


async def body(request: web.Request) -> bytes:
    """The whole body.

    Raises:
        HTTPRequestEntityTooLarge, HTTPRequestTimeout
    """
    try:
        async with asyncio.timeout(site_of(request).settings.body_timeout_s):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


async def form(request: web.Request) -> Mapping[str, Any]:
    """A form of a signed-in person, which may carry long texts; also as multipart, as scripts send it."""
    try:
        async with asyncio.timeout(site_of(request).settings.body_timeout_s):
            return await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


async def small_form(request: web.Request, most_bytes: int = _SMALL_BYTES) -> Mapping[str, str]:
    """A form of anybody: a few kilobytes at most, or ``most_bytes``.

    Raises:
        BadForm: it has too many fields, or one of them twice.
        HTTPRequestEntityTooLarge, HTTPRequestTimeout
    """
    pieces = bytearray()
    try:
        async with asyncio.timeout(site_of(request).settings.body_timeout_s):
            async for piece in request.content.iter_any():
                pieces += piece
                if len(pieces) > most_bytes:
                    raise web.HTTPRequestEntityTooLarge(most_bytes, len(pieces))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        fields = parse_qsl(pieces.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadForm from error
    found = dict(fields)
    if len(found) != len(fields):  # whoever reads it next may take the other one
        raise BadForm
    return found
