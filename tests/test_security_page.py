"""Every threat on docs/security.md has an answer, a place in the code that is there, and a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
STRIDE = "STRIDE"
_NAMED = re.compile(r"`([\w/.-]+\.py)::(\w+)`")


def boundaries() -> dict[str, list[list[str]]]:
    """Heading → the rows of its table of threats, as cells."""
    found: dict[str, list[list[str]]] = {}
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
        found[heading] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return found


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of a file's tests, without importing it; none when there is no such file."""
    file = ROOT / "tests" / path
    if not file.is_file():
        return frozenset()
    found = [
        each for each in ast.parse(file.read_text()).body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return frozenset(each.name for each in found if each.name.startswith("test_"))


def test_every_test_that_the_page_names_exists() -> None:
    named = _NAMED.findall(PAGE)
    assert len(named) > 300, "the page is read wrongly, or has lost most of its tests"
    assert PAGE.count("::") == len(named), "a test that is named in another form is not looked for"
    assert {f"{path}::{name}" for path, name in named if name not in names_in(path)} == set()


@pytest.mark.parametrize("boundary", boundaries())
def test_every_threat_has_an_answer_a_place_and_a_test(boundary: str) -> None:
    rows = boundaries()[boundary]
    for row in rows:
        assert len(row) == len(("", "threat", "answer", "where", "test")), row
        kind, threat, answer, where, tests = row
        assert kind in STRIDE, row
        assert all((threat, answer)), row
        places = re.findall(r"`([^`]+)`", where)
        assert places, f"{threat}: nowhere"
        assert [place for place in places if not (ROOT / place).exists()] == [], threat
        assert _NAMED.search(tests), f"{threat}: no test fails when its answer breaks"
        assert _NAMED.sub("", tests).strip(", ") == "", f"{threat}: {tests}"
    assert {row[0] for row in rows} == set(STRIDE), "every boundary is looked at under all six letters"


def test_every_boundary_of_the_picture_has_its_table() -> None:
    picture = PAGE.partition("```\n")[2].partition("```")[0]
    assert {int(number) for number in re.findall(r"\((\d+)\)", picture)} == {
        int(heading.partition(".")[0]) for heading in boundaries()
    }
