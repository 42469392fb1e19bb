"""Copies of an embedded PostgreSQL: a base backup with the WAL that follows it, and a standby."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from deploy.embedded import parent_death, postgres
from deploy.embedded.errors import StartError
from deploy.embedded.logs import LogSink
from deploy.embedded.probes import Probe
from deploy.embedded.process import ManagedProcess, ProcessSpec, SystemUser
from parley_client.waiting import DeadlineMissedError

WITHIN_S = 60.0
_CAUGHT_UP = "SELECT coalesce(bool_and(flush_lsn >= pg_current_wal_lsn()), false) FROM pg_stat_replication"


class Server:
    """The server of the stack over `folder`, as its administrator sees it."""

    def __init__(self, folder: Path) -> None:
        self._home = (folder / "postgres").absolute()
        self._url = postgres.url(self._home, "postgres")
        self._user = postgres.system_user()

    async def execute(self, *statements: str) -> None:
        """Each by itself, outside of transactions."""
        connection = await asyncpg.connect(self._url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def until_copied(self) -> None:
        """Returns once whoever replicates has all that is committed now. Raises DeadlineMissedError."""
        connection = await asyncpg.connect(self._url)
        try:
            async with asyncio.timeout(WITHIN_S):
                while not await connection.fetchval(_CAUGHT_UP):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DeadlineMissedError(f"nobody has all of the WAL after {WITHIN_S:g} s") from None
        finally:
            await connection.close()

    async def copy_to(self, data: Path, *options: str) -> None:
        """A base backup into a folder that does not exist yet. Raises StartError."""
        await asyncio.to_thread(self.make_folder, data.parent)
        command = (
            str(postgres.binary("pg_basebackup")),
            "-d",
            self._url,
            "-D",
            str(data),
            "--checkpoint=fast",
            *options,
        )
        result = await asyncio.to_thread(self._run, command)
        if result.returncode:
            raise StartError(f"pg_basebackup failed: {result.stderr.strip()}")

    @asynccontextmanager
    async def receiving(self, archive: Path, sink: LogSink) -> AsyncIterator[None]:
        """Writes the WAL into a folder as it comes, for the length of the block."""
        await asyncio.to_thread(self.make_folder, archive)

        async def receives() -> bool:
            connection = await asyncpg.connect(self._url)
            try:
                return bool(await connection.fetchval("SELECT count(*) FROM pg_stat_replication"))
            finally:
                await connection.close()

        command = (str(postgres.binary("pg_receivewal")), "-d", self._url, "-D", str(archive), "--synchronous")
        async with self._running("receivewal", command, receives, sink):
            yield

    @asynccontextmanager
    async def standby(self, home: Path, sink: LogSink) -> AsyncIterator[None]:
        """A standby over `home`/data that follows this server, for the length of the block."""
        sockets = postgres.socket_folder(home)
        await asyncio.to_thread(self.make_folder, sockets)

        async def answers() -> bool:
            try:
                connection = await asyncpg.connect(postgres.url(home, "postgres"), timeout=2)
            except (OSError, asyncpg.PostgresError, TimeoutError):
                return False
            await connection.close()
            return True

        command = (
            *(str(postgres.binary("postgres")), "-D", str(home / "data"), "-k", str(sockets)),
            *("-c", "listen_addresses=", "-c", "max_connections=200", "-c", "unix_socket_permissions=0700"),
        )
        async with self._running("standby", command, answers, sink):
            yield

    @asynccontextmanager
    async def _running(self, name: str, command: tuple[str, ...], ready: Probe, sink: LogSink) -> AsyncIterator[None]:
        process = ManagedProcess(ProcessSpec(name=name, command=command, ready=ready, user=self._user), sink)
        try:
            await process.start()
            yield
        finally:
            await process.stop()

    def make_folder(self, folder: Path) -> None:
        """A folder for whom the server runs as."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(folder, self._user.uid, self._user.gid)
            postgres.open_way_to(folder)
        folder.chmod(0o700)

    def _run(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        user = self._user or SystemUser(-1, -1)
        # parent_death changes the user: subprocess could do it only by a fork, which gRPC's threads do not survive.
        wrapped = (sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), str(int(signal.SIGKILL)))
        return subprocess.run(
            (*wrapped, str(user.uid), str(user.gid), *command),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )


def restore(archive: Path, data: Path) -> None:
    """Makes a base backup go on to the end of the archived WAL, and then become a server of its own, when it starts."""
    for unfinished in archive.glob("*.partial"):
        # The segment that was being written: whole in length, and ended by what is not valid any more.
        unfinished.rename(unfinished.with_suffix(""))
    settings = data / "postgresql.auto.conf"
    with settings.open("a") as file:
        file.write(f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_timeline = 'latest'\nhot_standby = off\n")
    _touch_like(data / "recovery.signal", data)


def become_primary(data: Path) -> None:
    """Makes a standby's data those of a primary of a new timeline, when it starts."""
    (data / "standby.signal").unlink()
    settings = data / "postgresql.auto.conf"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith(("primary_", "synchronous_"))]
    # Without a source it recovers what it has and is promoted at once.
    settings.write_text("\n".join([*kept, "restore_command = 'false'", "hot_standby = off", ""]))
    _touch_like(data / "recovery.signal", data)


def move(data: Path, home: Path) -> None:
    """Puts a server's data where a new stack looks for them."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.move(data, home / "data")


def _touch_like(path: Path, other: Path) -> None:
    path.touch()
    owner = other.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
