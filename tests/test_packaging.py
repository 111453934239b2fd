"""The pins, the package and the import contracts: whatever a clone needs is named, exactly, and only once."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME, TEST = ROOT / "requirements.txt", ROOT / "requirements-test.txt"


def pins(file: Path) -> dict[str, str]:
    """package → its version and marker."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^\\\n]+?) \\$", file.read_text(), re.MULTILINE))


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[>=<;! ]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize("file", [RUNTIME, TEST])
def test_every_pin_has_a_hash_and_no_line_names_a_host_or_a_path(file: Path) -> None:
    text = file.read_text()
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"://|^-|file:|/(opt|home|root|work|tmp)/", text, re.MULTILINE)


def test_every_dependency_is_pinned_and_the_test_pins_include_the_runtime_s() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    runtime, test = pins(RUNTIME), pins(TEST)
    assert named(PROJECT["project"]["dependencies"]) | named(extras["build"]) <= runtime.keys()
    assert named(extras["test"]) | named(extras["lint"]) <= test.keys()
    # Markers may be wider for the tests; versions may not differ.
    assert {name: pin.split(" ")[0] for name, pin in runtime.items()}.items() <= {
        name: pin.split(" ")[0] for name, pin in test.items()
    }.items()


def test_what_builds_this_project_offline_is_pinned_too() -> None:
    assert {"hatchling", "editables"} <= pins(RUNTIME).keys()


@pytest.mark.parametrize("package", ["holdpoint", "gateway", "bot"])
def test_the_packages_say_that_they_are_typed_and_are_built(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
    assert package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def test_the_import_contract_covers_every_module_but_the_commands() -> None:
    contract = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if "but for the commands" in c["name"])
    modules = {
        f"holdpoint.{path.stem}"
        for path in (ROOT / "holdpoint").iterdir()
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert modules - {"holdpoint.cli"} == set(contract["source_modules"])


@pytest.mark.parametrize("folder", ["templates", "manifests"])
def test_what_is_read_from_beside_the_packages_is_built_with_them(folder: str) -> None:
    assert folder in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
