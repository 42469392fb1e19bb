"""Whether the topics of a consumer are still those that it began to read (KIP-516).

A place in a topic means nothing in another one of its name: a broker comes back without its data, and its topics are
made anew. Where the new one has grown past that place before the client looks, it reads on in the midst of it: what
stands before comes later, out of its order, or never.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import ConnectionGroup
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

_NO_ID = bytes(16)


class KnownTopics:
    """The topics of one consumer that has started. A broker that gives no ids counts as one that never loses its data.

    The ids are asked for once for each set of connections: only another process can have lost what this one had. The
    client has no public way to tell what it is connected to, nor to ask for them.
    """

    def __init__(self, consumer: AIOKafkaConsumer, topics: Sequence[str]) -> None:
        self._consumer = consumer
        self._topics = topics
        self._ids: Mapping[str, bytes] = {}
        # By which what has been fetched so far came.
        self._connections: Mapping[Any, Any] = {}

    async def are_others(self) -> bool:
        """Whether what was fetched until now may come from other topics than before. Raises KafkaError."""
        connections = _connections(self._consumer)
        if self._ids and connections == self._connections:
            return False
        ids = await _ask(self._consumer, _node(self._consumer, connections), self._topics)
        if any(ids.get(name, id_) != id_ for name, id_ in self._ids.items()):
            return True
        if ids.keys() >= self._ids.keys():
            self._ids, self._connections = ids, connections
        # Else some are not there, or not made yet: nothing came from those, and they are asked for again.
        return False


def _connections(consumer: AIOKafkaConsumer) -> Mapping[Any, Any]:
    """Those by which records come, by node."""
    return {node: made for (node, group), made in consumer._client._conns.items() if group == ConnectionGroup.DEFAULT}


def _node(consumer: AIOKafkaConsumer, connections: Mapping[Any, Any]) -> int | None:
    """One that is there, as far as that is known: another one of the cluster may just be replaced."""
    connected = (node for node, made in connections.items() if isinstance(node, int) and made.connected())
    return next(connected, consumer._client.get_random_node())


async def _ask(consumer: AIOKafkaConsumer, node: int | None, topics: Sequence[str]) -> Mapping[str, bytes]:
    """The id of each topic that there is."""
    try:
        # Not by the connection of the fetches, where the answer would come after one that is held.
        answer = await consumer._client.send(node, _Ask(topics), group=ConnectionGroup.COORDINATION)
    except (NotImplementedError, IncompatibleBrokerVersion):
        # The client's words for a broker that does not know the request: one of before Kafka 2.8 has no ids to give.
        return dict.fromkeys(topics, _NO_ID)
    return {name: id_ for error_code, name, id_, *_ in answer.topics if error_code == 0}


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(len(_NO_ID))


class _Metadata(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    """Of Kafka 2.8. The client's own ask in versions that have no ids."""

    API_KEY = _Metadata.API_KEY
    API_VERSION = _Metadata.API_VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Metadata
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Ask(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = _MetadataRequest.API_KEY

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[Any]) -> Any:
        return request_struct_class([(_NO_ID, name, {}) for name in self._topics], False, False, {})
