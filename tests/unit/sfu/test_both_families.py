import pytest
from aioice import stun

from services.runtime.env import ConfigError
from services.sfu.config import Config
from services.sfu.core.ids import Address, ParticipantNumber
from services.sfu.core.session.addresses import AddressBook, Route
from services.sfu.ice import answer_check
from tests.integration.sfu.conftest import environment


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (("::ffff:192.0.2.7", 4444), ("192.0.2.7", 4444)),
        (("2001:db8::7", 4444), ("2001:db8::7", 4444)),
        (("192.0.2.7", 4444), ("192.0.2.7", 4444)),
    ],
)
def test_a_client_is_told_its_address_in_its_own_family(source: Address, seen: Address) -> None:
    book = AddressBook()
    book.add_route(Route(ParticipantNumber(1), "ours", "password"))
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = "ours:theirs"
    request.add_message_integrity(b"password")
    _, _, response = answer_check(bytes(request), source, book)
    assert stun.parse_message(response).attributes["XOR-MAPPED-ADDRESS"] == seen


def test_an_address_of_ipv6_needs_a_socket_that_hears_it() -> None:
    with pytest.raises(ConfigError, match="PARLEY_SFU_PUBLIC_IP6 needs"):
        Config.from_env(environment(PARLEY_SFU_PUBLIC_IP6="2001:db8::1"))
    both = environment(PARLEY_SFU_UDP_ADDRESS="[::]:7800", PARLEY_SFU_PUBLIC_IP6="2001:db8::1")
    media = Config.from_env(both).media
    assert (media.bind, media.tcp, media.public_ip6) == (("::", 7800), ("::", 7800), "2001:db8::1")


def test_an_address_that_is_none_is_a_fault() -> None:
    with pytest.raises(ConfigError, match="not an IP address"):
        Config.from_env(environment(PARLEY_SFU_UDP_ADDRESS="[::]:7800", PARLEY_SFU_PUBLIC_IP6="six"))
