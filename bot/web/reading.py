"""Reading what a client sends, within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bot.web.site import site_of

_SMALL_BYTES = 16_384


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


async def small_form(request: web.Request) -> Mapping[str, str]:
    """A form of anybody: a few kilobytes at most."""
    pieces = bytearray()
    try:
        async with asyncio.timeout(site_of(request).settings.body_timeout_s):
            async for piece in request.content.iter_any():
                pieces += piece
                if len(pieces) > _SMALL_BYTES:
                    raise web.HTTPRequestEntityTooLarge(_SMALL_BYTES, len(pieces))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return dict(parse_qsl(pieces.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
