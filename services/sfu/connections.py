"""All connections of a worker: by participant, and by the raw addresses that their datagrams come from."""

from typing import Final

import structlog

from services.sfu.connection import Connection
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.addresses import AddressBook
from services.sfu.core.session.participants import Participant
from services.sfu.udp import decode_sockaddr

log: Final = structlog.get_logger()


class Connections:
    """`sources` is what the book says, without making addresses of bytes for each packet."""

    def __init__(self) -> None:
        self.by_number: dict[ParticipantNumber, Connection] = {}
        self.sources: dict[bytes, Connection] = {}
        self.book = AddressBook()

    def find_source(self, source: bytes) -> Connection:
        """The connection of a raw address; PacketError when it is nobody's."""
        route = self.book.find_by_address(decode_sockaddr(source))
        if route is None:
            raise PacketError("unknown_source")
        connection = self.sources[source] = self.by_number[route.number]
        connection.sources.add(source)
        return connection

    def forget_sources(self, connection: Connection, source: bytes) -> None:
        """Ask the book again about this source and those of the connection; other connections' are not touched."""
        self.sources.pop(source, None)
        for known in connection.sources:
            self.sources.pop(known, None)
        connection.sources.clear()

    def remove(self, number: ParticipantNumber) -> Connection:
        """Take a connection out, with its addresses."""
        connection = self.by_number.pop(number)
        for source in connection.sources:
            self.sources.pop(source, None)
        self.book.remove_route(connection.route)
        return connection


def log_participant(participant: Participant, event: str, **fields: str) -> None:
    """A log line about one participant."""
    key = participant.key
    log.info(event, call_id=key.call_id, user_id=key.user_id, device_id=key.device_id, **fields)
