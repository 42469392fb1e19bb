import pytest

from services.sfu.core.addresses import MAX_ADDRESSES, SILENT_ADDRESS_S, AddressBook, Route
from services.sfu.core.ids import ParticipantNumber

HOME, AWAY = ("192.0.2.1", 1), ("192.0.2.2", 2)


@pytest.fixture
def route() -> Route:
    return Route(ParticipantNumber(1), "ufrag", "pwd")


@pytest.fixture
def book(route: Route) -> AddressBook:
    book = AddressBook()
    book.add(route)
    return book


def test_first_check_selects_and_the_address_is_known(book: AddressBook, route: Route) -> None:
    assert book.find_by_username("ufrag:theirs") is route
    assert book.find_by_username("other:theirs") is None
    assert book.find_by_address(HOME) is None
    assert book.handle_check(route, HOME, False, 0.0)
    assert route.selected == HOME
    assert book.find_by_address(HOME) is route


def test_nominated_check_moves_at_once(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    assert book.handle_check(route, AWAY, True, 0.1)
    assert route.selected == AWAY


def test_plain_check_moves_only_when_the_old_address_is_silent(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    assert not book.handle_check(route, AWAY, False, SILENT_ADDRESS_S / 2)
    assert book.handle_check(route, AWAY, False, SILENT_ADDRESS_S)


def test_media_from_another_proven_address_moves(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    book.handle_check(route, AWAY, False, 0.1)
    assert book.handle_media(route, AWAY, 0.2)
    assert not book.handle_media(route, AWAY, 0.3)
    assert route.selected == AWAY


def test_addresses_are_bounded_and_the_selected_one_stays(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    for port in range(100, 150):
        book.handle_check(route, ("192.0.2.3", port), False, 0.0)
    assert len(route.known) == MAX_ADDRESSES
    assert book.find_by_address(HOME) is route
    assert book.find_by_address(("192.0.2.3", 100)) is None


def test_removal_forgets_all_but_what_another_took_over(book: AddressBook, route: Route) -> None:
    other = Route(ParticipantNumber(2), "other", "pwd")
    book.add(other)
    book.handle_check(route, HOME, True, 0.0)
    book.handle_check(route, AWAY, True, 0.0)
    book.handle_check(other, AWAY, True, 0.0)
    book.remove(route)
    assert book.find_by_address(HOME) is None
    assert book.find_by_address(AWAY) is other
    book.remove(other)
    assert len(book) == 0
