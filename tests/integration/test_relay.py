"""Calls of people whose network lets nothing through but a TURN relay: a real coturn, with a grant's credentials."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.ports import Ports
from deploy.embedded.settings import PARTS
from loadtests.headless.client import Edge
from loadtests.headless.person import person
from loadtests.headless.tracks import SourceOptions
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import poll

DEADLINE_S = 90.0
COTURN = os.environ.get("PARLEY_COTURN") or shutil.which("turnserver")

pytestmark = pytest.mark.skipif(COTURN is None, reason="no coturn here; .ci/coturn installs it")


class Relay:
    """A coturn on loopback."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.port = Ports({}).tcp("turn")
        self._log = folder / "coturn.log"
        options = {
            "listening-ip": "127.0.0.1",
            "relay-ip": "127.0.0.1",
            "listening-port": str(self.port),
            "static-auth-secret": secret,
            "realm": "parley.test",
            "log-file": str(self._log),
            "pidfile": str(folder / "coturn.pid"),
            "userdb": str(folder / "coturn.db"),
        }
        flags = ("use-auth-secret", "allow-loopback-peers", "no-cli", "no-tls", "no-dtls", "simple-log", "verbose")
        command = [str(COTURN), "-n", *(f"--{name}={value}" for name, value in options.items())]
        self.process = subprocess.Popen(
            [*command, *(f"--{flag}" for flag in flags)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, str]]:
    secret = secrets.token_hex(16)
    made = Relay(tmp_path_factory.mktemp("coturn"), secret)
    try:
        poll(lambda: "listener opened" in made.log, DEADLINE_S, lambda: f"coturn did not start:\n{made.log[-2000:]}")
        yield made, secret
    finally:
        made.stop()


@pytest.fixture(scope="module", params=["udp", "tcp"])
def stack_behind_relay(request: pytest.FixtureRequest, relay: tuple[Relay, str]) -> Iterator[RunningStack]:
    """A stack that gives its clients that relay, over one transport."""
    server, secret = relay
    env = {
        "PARLEY_TURN_URLS": f"turn:127.0.0.1:{server.port}?transport={request.param}",
        "PARLEY_TURN_SECRET": secret,
    }
    with run_stack(f"relay-{request.param}", parts=tuple(part for part in PARTS if part != "web"), env=env) as running:
        yield running


async def test_two_people_talk_through_a_relay_and_by_no_other_way(
    stack_behind_relay: RunningStack, relay: tuple[Relay, str]
) -> None:
    edge = Edge(stack_behind_relay.record.edge_address, stack_behind_relay.record.issuer_url)
    source = SourceOptions(width=160, height=90, pictures_per_s=5)
    allocated = relay[0].log.count("ALLOCATE processed, success")
    async with AsyncExitStack() as cleanup:
        caller, callee = [
            await cleanup.enter_async_context(
                person(edge, f"{name}-{secrets.token_hex(4)}", source, source.tone_hz, DEADLINE_S, relay_only=True)
            )
            for name in ("caller", "callee")
        ]
        request = messaging.CreateDirectConversationRequest(peer_user_id=callee.user_id)
        conversation = (await caller.device.messaging.CreateDirectConversation(request)).conversation
        call = await caller.phone.start(conversation.conversation_id)
        await caller.phone.join_media()
        await callee.phone.until_ring(DEADLINE_S)
        await callee.phone.accept(call.call_id)
        await callee.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(DEADLINE_S) for side in (caller, callee)))
        assert relay[0].log.count("ALLOCATE processed, success") >= allocated + 2
        await caller.phone.hang_up()
