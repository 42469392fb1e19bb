"""What our producer and consumers share: how they reach the broker, with TLS or without, and how they wait."""

import ssl
from asyncio import BaseTransport
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from aiokafka import conn
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import group_coordinator
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownMemberIdError
from aiokafka.protocol.api import Request
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest_v1

from services.runtime.config import KafkaConfig, KafkaTls
from services.runtime.sockets import find_dead_peer

log = structlog.get_logger()

MAX_BACKOFF_S = 5.0
# How long a client may not know that a topic has more partitions. Raising it has keys go to their old partitions for
# longer, where nobody delivers what is in them; lowering it costs each client more requests while nothing happens.
METADATA_MAX_AGE_S = 30


class CommittedOffsets(Request[OffsetFetchRequest_v1]):  # type: ignore[misc]
    """Asks what a consumer group has committed, in version 1 of OffsetFetch, which all brokers know.

    From version 2 on, a broker says once for the whole answer that it is not the group's coordinator, or has not loaded
    yet what the group committed, as for a while after each start. The client looks at the errors of partitions alone
    (0.14.0): it takes such an answer for "nothing committed", and reads its partitions again from their beginning. In
    version 1 each partition says it, and the client asks again. It has no public way to choose the version.
    """

    API_KEY = OffsetFetchRequest_v1.API_KEY

    def __init__(self, group: str, partitions: Sequence[tuple[str, list[int]]]) -> None:
        self._group = group
        self._partitions = partitions

    def build(self, request_struct_class: type[OffsetFetchRequest_v1]) -> OffsetFetchRequest_v1:
        return request_struct_class(self._group, self._partitions)


group_coordinator.OffsetFetchRequest = CommittedOffsets


class MembersCommit(OffsetCommitRequest):  # type: ignore[misc]
    """What a member of a group commits. Raises UnknownMemberIdError for one that is in no group.

    A broker that does not know a member any more has it ask to join anew, and until then the client commits without a
    name (0.14.0). Brokers take that of anybody while a group has no members: from one that came back without its data,
    the place in a log that is gone would be the place in the new one, and what stands before it would never be read.
    """

    API_KEY = OffsetCommitRequest.API_KEY

    def __init__(self, group: str, generation: int, member_id: str, retention_time: int, topics: list[Any]) -> None:
        if not member_id:
            raise UnknownMemberIdError(group)
        super().__init__(group, generation, member_id, retention_time, topics)


group_coordinator.OffsetCommitRequest = MembersCommit


class WatchedConnection(conn.AIOKafkaProtocol):  # type: ignore[misc]
    """A connection to the broker that ends when the broker is gone.

    The client's own limit for an answer is 40 s, since a join of a group may take so long: for as long a consumer would
    hear nothing. It has no public way to set what a socket does.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        find_dead_peer(transport)


conn.AIOKafkaProtocol = WatchedConnection


class BrokenConnection(conn.AIOKafkaConnection):  # type: ignore[misc]
    """A connection that says that it is broken, also before the client has noticed.

    Between the reset of a connection and the client's notice, uvloop raises RuntimeError for what is written to it
    (asyncio takes it). The client reckons with OSError alone (0.14.0), and its task that keeps up with the cluster ends
    by anything else, in silence.
    """

    def send(self, request: Any, expect_response: bool = True) -> Any:
        try:
            return super().send(request, expect_response)
        except KafkaError:
            raise
        except RuntimeError as error:
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self._host}:{self._port} broken: {error}") from error


conn.AIOKafkaConnection = BrokenConnection


def has_ended(client: AIOKafkaClient) -> bool:
    """Whether the client's task that keeps up with the cluster has ended, whatever by.

    The client does not look (0.14.0). Whoever then needs a partition's new leader waits for it for ever.
    """
    return bool(client._sync_task and client._sync_task.done())


def client_options(config: KafkaConfig) -> dict[str, Any]:
    """The arguments that every client of aiokafka takes.

    Renewed files count at the next connection, also of the same client (`FollowedFiles`).
    Raises OSError (ssl.SSLError is one) when they cannot be read.
    """
    if not config.tls.enabled:
        return {"bootstrap_servers": config.bootstrap}
    return {"bootstrap_servers": config.bootstrap, "security_protocol": "SSL", "ssl_context": followed(config.tls)}


def followed(tls: KafkaTls) -> "FollowedFiles":
    """A context for many connections. Raises OSError when the files cannot be read."""
    context = FollowedFiles(ssl.PROTOCOL_TLS_CLIENT)
    context.follow(tls)
    return context


class FollowedFiles(ssl.SSLContext):
    """Makes each connection with the files as they are then, since a client keeps its context for life."""

    _tls: KafkaTls
    _seen: tuple[tuple[int, int, int], ...]
    _latest: ssl.SSLContext

    def follow(self, tls: KafkaTls) -> None:
        """Read the files. Raises OSError."""
        self._tls = tls
        seen = self._stamps()
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.certificate_file:
            context.load_cert_chain(tls.certificate_file, tls.key_file)
        self._seen, self._latest = seen, context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """What the event loops call for each connection."""
        try:
            if self._stamps() != self._seen:
                self.follow(self._tls)
                log.info("kafka_certificates_read")
        except OSError as error:
            # Half written, or gone for the moment: the ones before are good still.
            self._seen = ()
            log.warning("kafka_certificates_unreadable", error=type(error).__name__)
        return self._latest.wrap_bio(*args, **kwargs)

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        names = (self._tls.ca_file, self._tls.certificate_file, self._tls.key_file)
        stats = [Path(name).stat() for name in names if name]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)
