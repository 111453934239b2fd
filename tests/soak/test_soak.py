"""Two minutes of the soak; half an hour of it is ``python -m tests.soak``."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.soak.run import soak

_SECONDS = 120


@pytest.mark.promise(1)
@pytest.mark.promise(3)
@pytest.mark.promise(4)
@pytest.mark.timeout(600)
async def test_nothing_breaks_and_nothing_leaks_while_gateways_are_killed(tmp_path: Path) -> None:
    report = await soak(_SECONDS, secrets.randbelow(10**6), tmp_path)
    assert report.broken == [], report.text()  # with its seed
    assert report.kills > 3
