"""The life of a stack: it starts in order, says what runs, and stops."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TextIO

from deploy.embedded import postgres
from deploy.embedded.addresses import allocate
from deploy.embedded.environments import Environments
from deploy.embedded.errors import SettingsError
from deploy.embedded.files import Files
from deploy.embedded.logs import LogSink
from deploy.embedded.ports import Ports, from_environment
from deploy.embedded.record import StackRecord
from deploy.embedded.settings import START_ORDER, StackSettings
from deploy.embedded.specs import Specs
from deploy.embedded.supervisor import Supervisor


class Stack:
    """The processes of one stack. `on_change` gets the record whenever a process was started anew."""

    def __init__(
        self,
        settings: StackSettings,
        sink: LogSink,
        ports: Ports,
        on_change: Callable[[StackRecord], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._addresses = allocate(settings, ports)
        self._files = Files.within(settings.folder)
        environments = Environments(
            *(settings, self._addresses, self._files), resume_key=_new_key(), objects_secret=_new_key()
        )
        self._specs = Specs(settings, self._addresses, self._files, environments)
        self._supervisor = Supervisor(sink, lambda: on_change(self.record()))

    async def start(self) -> None:
        """Starts everything in order. Raises StackError, with what was started still running."""
        await asyncio.to_thread(self._files.write, is_tls=self._settings.is_tls)
        for row in START_ORDER:
            specs = [spec for part in row if part in self._settings.parts for spec in await self._specs.of(part)]
            if specs:
                await self._supervisor.start(*specs)

    async def stop(self, *, timeout_s: float | None = None) -> None:
        """Stops everything in reverse order. Idempotent; 0 kills at once."""
        await self._supervisor.stop(timeout_s=timeout_s)

    def record(self) -> StackRecord:
        """The stack as it runs now."""
        at, files, host = self._addresses, self._files, self._settings.postgres_host
        return StackRecord(
            pid=os.getpid(),
            web_url=f"http://{at.edge}/",
            edge_address=at.edge,
            issuer_url=f"http://{at.issuer}",
            kafka_bootstrap=at.kafka,
            objects_url=f"http://{at.objects}",
            database_urls={name: postgres.url(files.postgres, name, host) for name in postgres.DATABASES},
            pids=self._supervisor.pids(),
            grpc_addresses=at.grpc,
            admin_addresses=at.admin,
            metrics_addresses=at.metrics,
            media_addresses=at.media,
            log_folder=str(self._settings.log_folder),
            service_keys_folder=str(files.service_keys),
            admin_key_file=str(files.admin_keys / "private.json"),
            tls_folder=str(files.tls) if self._settings.is_tls else "",
            health_addresses=at.health,
            webhooks_file=str(files.webhooks),
            push_providers_file=str(files.push_providers),
            server_keys_folder=str(files.server_keys),
        )


@contextlib.asynccontextmanager
async def running_stack(
    settings: StackSettings,
    *,
    console: TextIO | None = None,
    ports: Ports | None = None,
    on_change: Callable[[StackRecord], None] = lambda _: None,
) -> AsyncIterator[Stack]:
    """A stack for the length of the block. Raises StackError when it cannot start; nothing runs afterwards.

    The event loop must live in a thread that outlives the block: the kernel ends the processes with it.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    with _locked(settings.folder):
        sink = LogSink(settings.log_folder, console)
        stack = Stack(settings, sink, ports or from_environment(), on_change)
        try:
            await stack.start()
            yield stack
        finally:
            await stack.stop()
            sink.close()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"Another stack runs on the data in {folder}: stop it first.") from None
        yield


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
