"""The embedded Redis with the real server: one server per folder, gone with its last user, nothing lost."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from holdpoint.embedded import EmbeddedRedis, attach_or_start, find_server
from holdpoint.errors import ConfigurationError
from holdpoint.folder import Folder, Lock
from tests.support.redis_server import server_binary
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
USER = """
import sys
from pathlib import Path
from holdpoint.embedded import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]), "always")
server.start()
print(server.url, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder with a path short enough for a socket; no server is left on it."""
    with tempfile.TemporaryDirectory(prefix="hp-") as folder:
        yield Path(folder) / "data"
        kill_server(Path(folder) / "data")


def kill_server(data: Path) -> None:
    for name in ("keeper", "server"):
        pid = pid_of(data, name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def pid_of(data: Path, name: str) -> int | None:
    """The running keeper or server of the folder."""
    path = data / "run" / ("redis.pid" if name == "server" else "keeper.pid")
    try:
        pid = int(path.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


@contextlib.contextmanager
def user_process(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that runs an instance on the folder; and the URL of its server."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(data)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def no_server(data: Path) -> bool:
    """Whether the kernel says that nobody has the server's lock."""
    lock = Lock(data / "run" / "server.lock")
    try:
        return lock.take()
    finally:
        lock.release()


async def test_what_was_written_is_there_after_a_restart(data: Path) -> None:
    for _ in range(2):
        server = EmbeddedRedis(data, "always")
        server.start()
        with client(server.url) as connection:
            connection.incr("starts")
        server.stop()
    assert no_server(data)
    with attach_or_start(data) as use, client(use.url) as connection:
        assert connection.get("starts") == b"2"


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_the_server_is_durable_private_and_never_evicts(data: Path, fsync: str) -> None:
    with attach_or_start(data, fsync) as use, client(use.url) as connection:
        settings = connection.config_get("*")
        assert {
            name: settings[name]
            for name in ("appendonly", "appendfsync", "aof-load-truncated", "save", "maxmemory-policy", "port", "protected-mode")
        } == {
            "appendonly": "yes", "appendfsync": fsync, "aof-load-truncated": "yes", "save": "",
            "maxmemory-policy": "noeviction", "port": "0", "protected-mode": "yes",
        }  # fmt: skip
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(use.url.removeprefix("unix://")).stat().st_mode) == 0o600
        written = [path for path in data.rglob("appendonly*") if path.is_file()]
        assert written
        assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}


def test_a_second_instance_on_the_folder_is_refused_with_the_first_one_s_pid(data: Path) -> None:
    with user_process(data) as (first, _):
        second = EmbeddedRedis(data, "always")
        with pytest.raises(ConfigurationError) as caught:
            second.start()
        assert str(caught.value) == f"the data folder {data} is in use by another Holdpoint (pid {first.pid})"


def test_a_command_uses_the_server_of_the_running_instance_and_leaves_it_running(data: Path) -> None:
    with user_process(data) as (_, url):
        with attach_or_start(data) as use:
            assert use.url == url
            assert not use.started_here
        with client(url) as connection:
            assert connection.ping()


async def test_the_server_is_gone_when_its_last_user_leaves(data: Path) -> None:
    first, second = attach_or_start(data), attach_or_start(data)
    first.close()
    with client(second.url) as connection:
        assert connection.ping()
    second.close()
    await wait_until(lambda: no_server(data), "the server is gone")
    attach_or_start(data).close()  # there can be another one afterwards; this also reaps the first one's keeper


async def test_an_instance_that_is_killed_leaves_no_server_and_loses_nothing(data: Path) -> None:
    with user_process(data) as (process, url):
        with client(url) as connection:
            connection.set("answered", "yes")
        process.kill()
        process.wait()
        await wait_until(lambda: no_server(data), "the server is gone")
    with attach_or_start(data) as use, client(use.url) as connection:
        assert connection.get("answered") == b"yes"


@pytest.mark.promise(3)
async def test_a_server_whose_keeper_was_killed_is_shut_down_before_another_one_starts(data: Path) -> None:
    with user_process(data) as (process, url):
        with client(url) as connection:
            connection.set("answered", "yes")
        left = pid_of(data, "server")
        keeper = pid_of(data, "keeper")
        assert left is not None
        assert keeper is not None
        os.kill(keeper, signal.SIGKILL)
        process.kill()
        process.wait()
        await wait_until(lambda: not is_running(keeper), "the keeper is dead")
    assert not no_server(data)
    with attach_or_start(data) as use, client(use.url) as connection:
        assert connection.info("server")["process_id"] != left
        assert connection.get("answered") == b"yes"
        assert not is_running(left)
    await wait_until(lambda: no_server(data), "the new server is gone, too")


async def test_a_server_that_dies_is_started_again_with_its_data(data: Path) -> None:
    with attach_or_start(data) as use:
        with client(use.url) as connection:
            connection.set("answered", "yes")
            server = connection.info("server")

        def lived_long_enough() -> bool:
            with client(use.url) as asking:
                return int(asking.info("server")["uptime_in_seconds"]) >= 3

        await wait_until(lived_long_enough, "the server has lived for a while")
        os.kill(server["process_id"], signal.SIGKILL)

        def is_back() -> bool:
            with contextlib.suppress(redis.RedisError), client(use.url) as asking:
                return asking.info("server")["process_id"] != server["process_id"] and asking.get("answered") == b"yes"
            return False

        await wait_until(is_back, "the server is back")
        said = (data / "run" / "redis.log").read_text()
        assert f"{server['process_id']}:M" in said, "what the one that died has said is still there"


def test_a_path_too_long_for_a_socket_gets_a_private_folder_elsewhere(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    with attach_or_start(data) as use, client(use.url) as connection:
        assert connection.ping()
        socket = Path(use.url.removeprefix("unix://"))
        assert data not in socket.parents
        assert len(os.fsencode(socket)) <= 100
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    socket.parent.chmod(0o755)
    with pytest.raises(ConfigurationError, match="must be a private folder"):
        attach_or_start(data)
    socket.parent.rmdir() if not any(socket.parent.iterdir()) else None


@pytest.mark.parametrize("place", ["file/data", "file"])
def test_a_folder_that_cannot_be_written_is_one_clear_line(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError) as caught:
        attach_or_start(tmp_path / place)
    assert str(caught.value).startswith(f"the data folder {tmp_path / place} cannot be written: ")
    assert "\n" not in str(caught.value)


def test_a_filled_folder_that_is_not_ours_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("else")
    tmp_path.chmod(0o755)
    Folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def append_only_file(data: Path) -> Path:
    """The file that the server appends to, in the form of its version."""
    parts = sorted(data.glob("appendonlydir/*.incr.aof"))
    return parts[-1] if parts else data / "appendonly.aof"


def test_a_file_cut_by_a_crash_is_accepted(data: Path) -> None:
    with attach_or_start(data) as use, client(use.url) as connection:
        connection.set("whole", "yes")
        connection.set("cut", "x" * 100)
    path = append_only_file(data)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 50)
    with attach_or_start(data) as use, client(use.url) as connection:
        assert connection.get("whole") == b"yes"
        assert connection.get("cut") is None


def test_a_server_that_cannot_load_its_data_says_why(data: Path) -> None:
    with attach_or_start(data) as use, client(use.url) as connection:
        connection.set("a", "b")
    append_only_file(data).write_bytes(b"this is no append-only file\r\n" * 10)
    with pytest.raises(ConfigurationError) as caught:
        attach_or_start(data)
    assert str(caught.value).startswith(f"the embedded Redis on {data} does not run: ")
    assert "Bad file format" in str(caught.value)
    assert no_server(data)


def test_data_of_a_newer_server_is_not_hidden_by_an_older_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = Path(server_binary())
    Folder(data)
    (data / "appendonlydir").mkdir()
    (tmp_path / "redis-server").symlink_to(bundled)
    monkeypatch.setenv("PATH", str(tmp_path))
    _, version = find_server()
    if version >= (7, 0):
        pytest.skip("the bundled server is a new one")
    with pytest.raises(ConfigurationError, match="was written by a newer Redis"):
        attach_or_start(data)


@pytest.mark.parametrize("printed", ["Redis server v=6.0.16 sha=0", "no version at all", ""])
def test_a_server_on_path_that_is_too_old_or_broken_gives_way_to_the_bundled_one(
    printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "redis-server"
    fake.write_text(f"#!/bin/sh\necho '{printed}'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found, version = find_server()
    assert found == Path(server_binary())
    assert version >= (6, 2)


def test_a_server_on_path_that_is_new_enough_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "valkey-server"
    fake.write_text("#!/bin/sh\necho 'Valkey server v=8.1.3 sha=0'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    found, version = find_server()
    if found.name == "valkey-server":
        assert (found, version) == (fake, (8, 1))


def test_stopping_ends_the_server_though_others_use_it(data: Path) -> None:
    use = attach_or_start(data)
    with attach_or_start(data):
        use.stop()
        assert no_server(data)
