"""A real browser for the tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.support.chromium import ARGUMENTS, CHROMIUM, HOW

expect.set_options(timeout=20_000)  # what a page shows in the end; a busy machine may take its time to draw it


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(HOW)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()
