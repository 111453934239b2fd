"""The description of the API and the API, held against each other by schemathesis and a JSON Schema validator."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bot.web.openapi import OPENAPI
from holdpoint.model import State
from tests.bot.world import Site
from tests.support.builders import hold_in

HOOKS = '''
import schemathesis, os, random

IDS = os.environ["HOLDS"].split()

@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the time a hold that exists."""
    if path_parameters and random.random() < 0.5:
        path_parameters["id"] = random.choice(IDS)
    return path_parameters
'''


@pytest.mark.parametrize("state", list(State))
async def test_every_document_is_as_described(site: Site, state: State) -> None:
    hold = await hold_in(site.world.store, state, gateway="g#1")
    _, one = await site.api("GET", f"/holds/{hold.id}")
    _, many = await site.api("GET", "/holds")
    _, refused = await site.api("GET", "/holds", by=None)
    for name, document in (("Hold", one), ("Holds", many), ("Error", refused)):
        validator(name).validate(document)


def validator(name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": OPENAPI["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


async def test_the_description_is_served(site: Site) -> None:
    status, served = await site.api("GET", "/openapi.json", by=None)
    assert (status, served) == (200, OPENAPI)


async def test_schemathesis_finds_nothing(site: Site, tmp_path: Path) -> None:
    ids = [(await hold_in(site.world.store, state, gateway="g#1")).id for state in State]
    ids.append((await site.world.hold("another password")).id)
    (tmp_path / "hooks.py").write_text(HOOKS)
    environment = {**os.environ, "HOLDS": " ".join(ids), "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), "run", f"{site.url}/api/v1/openapi.json",
        "--header", f"Authorization: Bearer {site.world.keys['sam@example.com']}",
        "--checks", "all", "--max-examples", "40", "--seed", "7", "--no-color", "--workers", "1",
        "--generation-database", "none",
        cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-6000:]
    assert site.bot.metrics.errors == {}
