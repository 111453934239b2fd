from __future__ import annotations

import json
import stat
from dataclasses import fields
from pathlib import Path

import pytest

from holdpoint import apikey
from holdpoint.demo.people import PEOPLE, Files, Sheet, missing_records
from holdpoint.errors import ConfigurationError
from holdpoint.model import Role


def sheet(keys: dict[str, str]) -> Sheet:
    return Sheet(gateway_url="http://g", bot_url="http://b", base_url="http://g/demo/v1", **keys)


def test_keys_are_made_once_and_kept_privately(tmp_path: Path) -> None:
    keys = Files(tmp_path).keys()
    assert keys.keys() == PEOPLE.keys()
    assert len(set(keys.values())) == len(PEOPLE)
    assert Files(tmp_path).keys() == keys
    assert stat.S_IMODE((tmp_path / "demo-keys.json").stat().st_mode) == 0o600


def test_the_sheet_is_there_only_between_publish_and_withdraw(tmp_path: Path) -> None:
    files = Files(tmp_path)
    keys = files.keys()
    files.withdraw()
    files.publish(sheet(keys))
    written = json.loads((tmp_path / "demo.json").read_text())
    assert list(written) == [field.name for field in fields(Sheet)]
    assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600
    files.withdraw()
    assert [path.name for path in tmp_path.iterdir()] == ["demo-keys.json"]


@pytest.mark.promise(8)
@pytest.mark.parametrize("content", ["", "{}", "[]", '{"requester_key": "hp_x"}', "{"])
def test_a_broken_key_file_is_one_clear_line_and_is_not_overwritten(content: str, tmp_path: Path) -> None:
    (tmp_path / "demo-keys.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"demo-keys\.json holds no keys of a demo"):
        Files(tmp_path).keys()
    assert (tmp_path / "demo-keys.json").read_text() == content


def test_a_record_is_made_for_each_key_that_redis_does_not_know(tmp_path: Path) -> None:
    keys = Files(tmp_path).keys()
    records = missing_records(keys, [], now_ms=1)
    assert {record.digest for record in records} == {apikey.digest(text) for text in keys.values()}
    by_principal = {record.principal: record for record in records}
    assert by_principal["dana@example.com"].groups == {"contractors"}
    assert by_principal["dana@example.com"].roles == frozenset()
    assert by_principal["sam@example.com"].roles == {Role.REVIEWER}
    assert Role.ADMIN in by_principal["alex@example.com"].roles
    assert missing_records(keys, records, now_ms=2) == []
    assert [record.id for record in missing_records(keys, records[1:], now_ms=2)] == [records[0].id]
