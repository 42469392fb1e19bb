"""What we ask of the Kafka client beyond its settings."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition, conn
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
    UnknownMemberIdError,
)
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v1, OffsetFetchResponse_v3
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import OffsetAndMetadata

from services.runtime.kafka import connection

# The versions of OffsetFetch that brokers of Apache Kafka 2.1 to 4.1 take; the client asks in the newest of both.
VERSIONS = [(0, 5), (1, 9), (1, 10)]


@pytest.mark.parametrize("known", VERSIONS)
@pytest.mark.parametrize("error", [GroupLoadInProgressError, NotCoordinatorForGroupError])
async def test_a_coordinator_that_has_not_loaded_is_not_one_of_a_group_that_committed_nothing(
    known: tuple[int, int], error: type[Exception]
) -> None:
    """As a broker answers: of the partitions in versions 0 and 1, once for all of them from 2 on."""
    assert connection.CommittedOffsets.API_KEY == OffsetFetchRequest.API_KEY

    async def send(request: Any) -> object:
        asked = request.prepare({request.API_KEY: known})
        if asked.API_VERSION < 2:
            topics: Sequence[Any] = [("things", [(0, -1, "", error.errno)])]  # type: ignore[attr-defined]
            return OffsetFetchResponse_v1(topics)
        return OffsetFetchResponse_v3(0, [], error.errno)  # type: ignore[attr-defined]

    group = SimpleNamespace(group_id="group", _send_req=send, coordinator_dead=lambda: None)
    with pytest.raises(error):
        await GroupCoordinator._do_fetch_commit_offsets(group, [TopicPartition("things", 0)])


async def test_who_is_in_no_group_commits_nothing_in_its_name() -> None:
    """A broker takes it while the group has no members, whatever log the place is of."""

    async def send(_: Any) -> object:
        raise AssertionError("it was sent")

    group = SimpleNamespace(group_id="group", generation=-1, member_id="", coordinator_id=1, _send_req=send)
    with pytest.raises(UnknownMemberIdError):
        await GroupCoordinator._do_commit_offsets(group, None, {TopicPartition("things", 0): OffsetAndMetadata(5, "")})


class ResetWriter:
    """As uvloop's, of a connection that was reset, until its reader has its turn."""

    def write(self, _: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    def close(self) -> None:
        pass


async def test_a_connection_that_was_reset_is_broken_to_whoever_writes_before_that_was_noticed() -> None:
    broken: Any = conn.AIOKafkaConnection("127.0.0.1", 9)
    assert isinstance(broken, connection.BrokenConnection)
    broken._reader, broken._writer = SimpleNamespace(at_eof=lambda: False), ResetWriter()
    broken._read_task, broken._versions = SimpleNamespace(done=lambda: True), {MetadataRequest.API_KEY: (0, 5)}
    assert broken.connected()
    with pytest.raises(KafkaConnectionError):
        broken.send(MetadataRequest([]))
    assert not broken.connected()
