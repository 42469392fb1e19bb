"""Binding requests on the media port: answered, or dropped with a reason, and answered only by the right password."""

from aioice import stun

from services.sfu import ice
from services.sfu.core.errors import PacketError
from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.addresses import AddressBook, Route

_BOOK = AddressBook()
_BOOK.add_route(Route(ParticipantNumber(1), "ours", "p" * 22))


def _request(password: str) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=b"t" * 12)
    message.attributes["USERNAME"] = "ours:theirs"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


SEEDS = (_request("p" * 22), _request("wrong"), bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)))


def fuzz(data: bytes) -> None:
    """Raises for anything but an answer or a PacketError."""
    try:
        route, _, response = ice.answer_check(data, ("192.0.2.1", 7), _BOOK)
    except PacketError:
        return
    assert route.ice_ufrag == "ours"
    # No amplification beyond what a check's own size and the fixed attributes make.
    assert len(response) <= 128
    assert stun.parse_message(response).transaction_id == data[8:20]
