"""The ICE-lite responder on aioice's STUN messages (RFC 8445 section 7.3, RFC 8489), and our own checks of whether an
address receives (RFC 7675)."""

import struct
from typing import Final

from aioice import stun

from services.sfu.core.errors import PacketError
from services.sfu.core.ids import Address
from services.sfu.core.session.addresses import AddressBook, Route

_MAGIC_COOKIE: Final = b"\x21\x12\xa4\x42"
_BINDING: Final = (b"\x00\x01", b"\x01\x01")
# What is read of a message before its password is known to be right. A check has six attributes in some 120 bytes, with
# two user names of 256 characters 640. Raising these lets unauthenticated senders cost more work; lowering them refuses
# checks that have more in them.
MAX_ATTRIBUTES: Final = 16
MAX_MESSAGE_SIZE: Final = 768
_ATTRIBUTE_HEAD: Final = 4
# RFC 8445 section 5.1.2.1: a peer-reflexive candidate of the first component.
_PRIORITY: Final = (110 << 24) + (65535 << 8) + 255


def is_response(datagram: bytes) -> bool:
    """Whether a STUN datagram is the answer to a check."""
    return datagram[:2] == _BINDING[1]


def answer_check(datagram: bytes, source: Address, book: AddressBook) -> tuple[Route, bool, bytes]:
    """The route that a binding request proves, whether it nominates, and the response.

    Raises PacketError: stun_malformed, stun_unexpected, stun_unknown_ufrag, stun_forged.
    """
    request = _parse(datagram)
    if request.message_method != stun.Method.BINDING or request.message_class != stun.Class.REQUEST:
        raise PacketError("stun_unexpected")
    route = book.find_by_username(str(request.attributes.get("USERNAME", "")))
    if route is None:
        raise PacketError("stun_unknown_ufrag")
    key = route.ice_pwd.encode()
    if not request.check_message_integrity(key):
        raise PacketError("stun_forged")
    response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = _as_seen_by_the_client(source)
    response.add_message_integrity(key)
    return route, "USE-CANDIDATE" in request.attributes, bytes(response)


def build_check(route: Route, transaction_id: bytes) -> bytes:
    """A check to an address of the route. We are lite, so the client is the controlling agent."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction_id=transaction_id)
    request.attributes["USERNAME"] = f"{route.peer_ufrag}:{route.ice_ufrag}"
    request.attributes["PRIORITY"] = _PRIORITY
    request.attributes["ICE-CONTROLLED"] = route.number
    request.add_message_integrity(route.peer_pwd.encode())
    return bytes(request)


def read_response(datagram: bytes, source: Address, book: AddressBook) -> tuple[Route, bytes]:
    """The route that answered a check of ours, and the transaction id.

    Raises PacketError: stun_malformed, stun_unexpected (no check of ours went there), stun_forged.
    """
    route = book.find_pending(datagram[8:20], source)
    if route is None:
        raise PacketError("stun_unexpected")
    response = _parse(datagram)
    if not response.check_message_integrity(route.peer_pwd.encode()):
        raise PacketError("stun_forged")
    return route, response.transaction_id


def _as_seen_by_the_client(source: Address) -> Address:
    """An IPv4 address that came to a socket of both families is one of IPv4 again (RFC 4291 section 2.5.5.2)."""
    host, port = source
    return host.removeprefix("::ffff:") if "." in host else host, port


def _parse(datagram: bytes) -> stun.Message:
    if len(datagram) < stun.HEADER_LENGTH or datagram[4:8] != _MAGIC_COOKIE:
        raise PacketError("stun_malformed")
    if datagram[:2] not in _BINDING:
        raise PacketError("stun_unexpected")
    _check_attributes(datagram)
    try:
        return stun.parse_message(datagram)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise PacketError("stun_malformed") from error


def _check_attributes(datagram: bytes) -> None:
    """Bound what the parser does: it reads all attributes before anybody asks for the password."""
    if len(datagram) > MAX_MESSAGE_SIZE:
        raise PacketError("stun_malformed")
    at, count = stun.HEADER_LENGTH, 0
    while at + _ATTRIBUTE_HEAD <= len(datagram):
        count += 1
        if count > MAX_ATTRIBUTES:
            raise PacketError("stun_malformed")
        size = datagram[at + 2] << 8 | datagram[at + 3]
        at += _ATTRIBUTE_HEAD + size + -size % 4
