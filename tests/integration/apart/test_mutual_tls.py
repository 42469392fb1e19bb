"""A whole stack whose processes speak mutual TLS: it works, nobody else gets in, and its certificates are renewed."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from parley.calls.v1 import service_pb2 as calls
from parley.messaging.v1 import accounts_pb2 as accounts
from parley.messaging.v1 import service_pb2 as messaging
from parley.presence.v1 import service_pb2 as presence

from deploy.certificates import Authority
from deploy.embedded import probes
from deploy.embedded.addresses import ADMIN_SERVICES, GRPC_SERVICES
from deploy.embedded.settings import PARTS
from loadtests.demo import run
from loadtests.stacks import edge_of
from parley_client.client import Device
from parley_client.tracks import SourceOptions
from services.ops.clients import CallOperations, Fleet, Refused
from services.ops.config import Config
from services.ops.core.routing import Gateway, Replica
from services.runtime.config import TlsConfig
from services.runtime.grpc.channels import connect
from services.runtime.grpc.server import READINESS
from services.runtime.grpc.tls import Peer, watch
from tests.support.account_jobs import finished
from tests.support.admins import admin_of
from tests.support.rotation import Load, load
from tests.support.stack import RunningStack, run_stack
from tests.support.waiting import PATIENCE_S, eventually

SOURCE = SourceOptions(width=64, height=48, pictures_per_s=10)
# Of a pod of media workers, each has a port: those that follow the pod's own.
SFU_WORKERS = 2
PORTS = [
    *GRPC_SERVICES,
    *(f"sfu worker {number}" for number in range(1, SFU_WORKERS + 1)),
    *(f"{service} admin" for service in ADMIN_SERVICES),
]
# Who comes back after a renewal, while those who call them live on: the edge, gateway, signaling.
RESTARTED = ("messaging", "presence")


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    # The load below is one user's.
    limits = {
        "PARLEY_USER_UNITS_PER_S": "1000000",
        "PARLEY_USER_BURST_UNITS": "1000000",
        "PARLEY_TYPING_PER_S": "1000",
        "PARLEY_TYPING_BURST": "1000",
    }
    env = {"PARLEY_TLS": "mutual", "PARLEY_SFU_WORKERS": str(SFU_WORKERS), **limits}
    with run_stack("mutual-tls", parts=tuple(part for part in PARTS if part != "web"), env=env) as running:
        yield running


def address_of(stack: RunningStack, port: str) -> str:
    service, _, which = port.partition(" ")
    if which == "admin":
        return stack.record.admin_addresses[service]
    host, _, number = stack.record.grpc_addresses[service].rpartition(":")
    return f"{host}:{int(number) + int(which.removeprefix('worker ') or 0)}"


def files_of(stack: RunningStack, name: str) -> TlsConfig:
    return TlsConfig.in_folder(Path(stack.record.tls_folder) / name)


async def answer(channel: grpc.aio.Channel) -> grpc.StatusCode:
    check = health_pb2.HealthCheckRequest(service=READINESS)
    try:
        await health_pb2_grpc.HealthStub(channel).Check(check, timeout=PATIENCE_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_people_meet_write_and_call_each_other(stack: RunningStack) -> None:
    report = await run(edge_of(stack.record), 4, 0.5, SOURCE)
    assert report.errors == []


async def test_messaging_asks_the_others_for_an_export(stack: RunningStack) -> None:
    device = Device(edge_of(stack.record), "exporting", "device-0001")
    try:
        await finished(device, (await device.account.StartExport(accounts.StartExportRequest())).job)
    finally:
        await device.close()


async def test_tools_of_people_who_run_it_come_with_a_certificate(stack: RunningStack, tmp_path: Path) -> None:
    stack.record.write(tmp_path / "stack.json")
    config, operator = Config.from_stack(tmp_path / "stack.json"), admin_of(stack.record, "operator")
    assert config.tls.is_on
    fleet = Fleet(config.presence, config.gateways, operator, config.tls)
    assert [type(entry) for entry in await fleet.replicas()] == [Replica]
    assert [type(entry) for entry in await fleet.gateways()] == [Gateway]
    with pytest.raises(Refused) as refused:
        await CallOperations(config.signaling, operator, Peer.of(config.tls, "signaling")).locate("x" * 36)
    assert refused.value.reason != "UNAVAILABLE"


def _bytes(file: str) -> bytes:
    return Path(file).read_bytes()


def _with(own: TlsConfig, ca: TlsConfig) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(_bytes(ca.ca_file), _bytes(own.key_file), _bytes(own.certificate_file))


# By what strangers come, who know our authority's own certificate: it is no secret. None: clear text.
STRANGERS: dict[str, Callable[[TlsConfig, Path], grpc.ChannelCredentials | None]] = {
    "clear text": lambda _ours, _folder: None,
    "no certificate": lambda ours, _folder: grpc.ssl_channel_credentials(_bytes(ours.ca_file)),
    "another authority": lambda ours, folder: _with(Authority(folder).issue_to("gateway"), ours),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("port", PORTS)
async def test_a_stranger_gets_nowhere(stack: RunningStack, port: str, stranger: str, tmp_path: Path) -> None:
    address, options = address_of(stack, port), [("grpc.default_authority", port.partition(" ")[0])]
    credentials = STRANGERS[stranger](files_of(stack, "ops"), tmp_path)
    async with (
        grpc.aio.secure_channel(address, credentials, options)
        if credentials
        else grpc.aio.insecure_channel(address, options)
    ) as channel:
        assert await answer(channel) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("port", PORTS)
async def test_who_has_a_certificate_gets_in_and_takes_no_service_for_another(stack: RunningStack, port: str) -> None:
    address, tls, service = address_of(stack, port), files_of(stack, "ops"), port.partition(" ")[0]
    async with connect(address, None, Peer.of(tls, service), fresh=True) as channel:
        assert await answer(channel) is grpc.StatusCode.OK
    other = "gateway" if service != "gateway" else "messaging"
    async with connect(address, None, Peer.of(tls, other), fresh=True) as channel:
        assert await answer(channel) is grpc.StatusCode.UNAVAILABLE


class Renewal:
    """Renews the files of all processes of a stack, each file at once."""

    def __init__(self, stack: RunningStack, new: Authority) -> None:
        self._new = new
        self._folders = [Path(stack.record.tls_folder) / name for name in (*GRPC_SERVICES, "edge", "ops")]
        self._old_ca = _bytes(files_of(stack, "ops").ca_file)

    def believe_both(self) -> None:
        self._put("ca.crt", lambda _: self._old_ca + self._new.ca.read_bytes())

    def take_certificates(self) -> None:
        issued = {folder.name: self._new.issue_to(folder.name) for folder in self._folders}
        self._put("tls.crt", lambda service: _bytes(issued[service].certificate_file))
        self._put("tls.key", lambda service: _bytes(issued[service].key_file))

    def believe_the_new_one(self) -> None:
        self._put("ca.crt", lambda _: self._new.ca.read_bytes())

    def _put(self, name: str, content: Callable[[str], bytes]) -> None:
        for folder in self._folders:
            unfinished = folder / f"{name}.unfinished"
            unfinished.write_bytes(content(folder.name))
            unfinished.replace(folder / name)


def kept(tls: TlsConfig, folder: Path) -> TlsConfig:
    """A copy of the files, as they are now."""
    return TlsConfig.in_folder(shutil.copytree(Path(tls.ca_file).parent, folder))


async def restart(stack: RunningStack, *names: str) -> None:
    # In good order: the broker waits long for members of a group that were killed.
    pids = {name: await asyncio.to_thread(stack.kill, name, signal.SIGTERM) for name in names}
    for name, pid in pids.items():
        await asyncio.to_thread(stack.wait_for_restart, name, pid)
        await eventually(probes.grpc_ready(stack.record.health_addresses[name]), what=f"{name} ready")


@asynccontextmanager
async def asking(stack: RunningStack) -> AsyncIterator[Load]:
    """Requests through the edge to each service behind it; the gateway asks messaging besides."""
    device = Device(edge_of(stack.record), "asking", "device-0001")

    async def ask() -> None:
        await device.messaging.ListConversations(messaging.ListConversationsRequest())
        await device.calls.GetCallSettings(calls.GetCallSettingsRequest())
        await device.presence.SetTyping(presence.SetTypingRequest(conversation_id=room, typing=True))

    try:
        request = messaging.CreateDirectConversationRequest(peer_user_id="answering")
        room = (await device.messaging.CreateDirectConversation(request)).conversation.conversation_id
        async with load(ask) as requests:
            yield requests
    finally:
        await device.close()


async def test_all_certificates_and_the_authority_are_renewed_without_a_refused_request(
    stack: RunningStack, tmp_path: Path
) -> None:
    before = watch(kept(files_of(stack, "ops"), tmp_path / "before"))
    renewal = Renewal(stack, Authority(tmp_path / "new"))
    async with asking(stack) as requests:
        for step in (renewal.believe_both, renewal.take_certificates, renewal.believe_the_new_one):
            await asyncio.to_thread(step)
            await requests.goes_on(step.__name__)
    # Who lives on finds those who come back.
    await restart(stack, *RESTARTED)
    report = await run(edge_of(stack.record), 2, 0.5, SOURCE)
    assert report.errors == []
    for port in PORTS:
        peer = Peer(port.partition(" ")[0], before)
        async with connect(address_of(stack, port), None, peer, fresh=True) as channel:
            assert await answer(channel) is grpc.StatusCode.UNAVAILABLE
