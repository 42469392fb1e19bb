"""Where packets of a participant go to: to who has shown that it receives them, and before that hardly anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sfu.core.ids import ParticipantNumber
from services.sfu.core.session.addresses import (
    AMPLIFICATION,
    CHECK_AGAIN_S,
    MAX_ADDRESSES,
    PROOF_S,
    RENEW_S,
    SILENT_ADDRESS_S,
    AddressBook,
    Route,
)

HOME, AWAY = ("192.0.2.1", 1), ("192.0.2.2", 2)


@pytest.fixture
def route() -> Route:
    return Route(ParticipantNumber(1), "ufrag", "pwd", "theirs", "their-pwd")


def prove(book: AddressBook, route: Route, address: tuple[str, int], now: float) -> bool:
    """The address is asked and answers."""
    transaction_id = book.next_check(route, address, f"{address}{now}".encode(), now)
    assert transaction_id is not None
    assert book.find_pending(transaction_id, address) is route
    return book.handle_response(transaction_id, now)


@pytest.fixture
def book(route: Route) -> AddressBook:
    book = AddressBook()
    book.add_route(route)
    return book


def test_first_check_selects_and_the_address_is_known(book: AddressBook, route: Route) -> None:
    assert book.find_by_username("ufrag:theirs") is route
    assert book.find_by_username("other:theirs") is None
    assert book.find_by_address(HOME) is None
    assert book.handle_check(route, HOME, False, 0.0)
    assert route.selected == HOME
    assert book.find_by_address(HOME) is route


def test_nominated_check_moves_as_soon_as_its_address_has_answered(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    assert not book.handle_check(route, AWAY, True, 0.1)
    assert route.selected == HOME
    assert prove(book, route, AWAY, 0.2)
    assert route.selected == AWAY
    assert route.allowance is None


def test_answer_from_elsewhere_or_to_another_question_proves_nothing(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    book.handle_check(route, AWAY, True, 0.1)
    transaction_id = book.next_check(route, AWAY, b"question", 0.2)
    assert transaction_id == b"question"
    assert book.find_pending(transaction_id, HOME) is None
    assert book.find_pending(b"guess", AWAY) is None
    book.handle_response(transaction_id, 0.3)
    assert book.find_pending(transaction_id, AWAY) is None, "a question is answered once"


def test_question_is_repeated_as_it_was_until_it_is_answered(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    assert book.next_check(route, HOME, b"first", 0.0) == b"first"
    assert book.next_check(route, HOME, b"second", CHECK_AGAIN_S / 2) is None
    assert book.next_check(route, HOME, b"second", CHECK_AGAIN_S) == b"first"
    book.handle_response(b"first", 0.3)
    assert book.next_check(route, HOME, b"third", 0.3 + RENEW_S / 2) is None
    assert book.next_check(route, HOME, b"third", 0.3 + RENEW_S) == b"third"


def test_proof_runs_out_where_nobody_answers_any_more(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    prove(book, route, HOME, 0.0)
    book.expire(route, PROOF_S - 1)
    assert route.allowance is None
    book.expire(route, PROOF_S)
    assert route.allowance is not None
    assert not route.allowance.spend(1)


def test_handshake_proves_the_address_that_all_of_it_went_to(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    book.handle_handshake(route, 0.2)
    assert route.allowance is None


def test_handshake_that_moved_on_its_way_proves_no_address(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    book.handle_check(route, AWAY, True, SILENT_ADDRESS_S)
    book.handle_handshake(route, SILENT_ADDRESS_S + 0.2)
    assert route.selected == AWAY
    assert route.allowance is not None


def test_check_alone_takes_nobodys_address(book: AddressBook, route: Route) -> None:
    other = Route(ParticipantNumber(2), "other", "pwd", "theirs", "their-pwd")
    book.add_route(other)
    book.handle_check(route, HOME, True, 0.0)
    prove(book, route, HOME, 0.1)
    book.handle_check(other, HOME, True, 0.2)
    assert book.find_by_address(HOME) is route
    # The network gave it to another meanwhile.
    prove(book, other, HOME, 0.3)
    assert book.find_by_address(HOME) is other


def test_invented_addresses_do_not_push_out_a_proven_one(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    prove(book, route, HOME, 0.0)
    book.handle_check(route, AWAY, True, 0.1)
    prove(book, route, AWAY, 0.1)
    for port in range(100, 150):
        book.handle_check(route, ("192.0.2.3", port), False, 0.2)
    assert {HOME, AWAY} <= route.known.keys()


PLACES = [("192.0.2.9", port) for port in range(3)]
happening = st.tuples(
    st.sampled_from(PLACES),
    st.sampled_from(["check", "nominated", "media", "send", "ask", "tick"]),
    st.integers(1, 1500),
    st.floats(0.0, 3.0),
)


@given(st.lists(happening, max_size=80))
def test_no_unproven_address_gets_more_than_three_times_what_came_from_it(
    happened: list[tuple[tuple[str, int], str, int, float]],
) -> None:
    """Whatever a participant does from addresses that never answer: they get no more, and one that answered stays."""
    book, route = AddressBook(), Route(ParticipantNumber(1), "ufrag", "pwd", "theirs", "their-pwd")
    book.add_route(route)
    came, went, now = dict.fromkeys(PLACES, 0), dict.fromkeys(PLACES, 0), 0.0
    for place, what, size, elapsed in happened:
        now += elapsed
        if what in ("check", "nominated"):
            came[place] += size
            book.handle_check(route, place, what == "nominated", now, size)
        elif what == "media" and book.find_by_address(place) is route:
            came[place] += size
            book.handle_media(route, place, now, size)
        elif what == "ask" and place in route.known and book.next_check(route, place, f"{now}{place}".encode(), now):
            went[place] += 120 if route.known[place].may_send(120) else 0
        elif what == "tick":
            book.expire(route, now)
        elif what == "send" and route.selected is not None and route.known[route.selected].may_send(size):
            went[route.selected] += size
    assert all(went[place] <= AMPLIFICATION * came[place] for place in PLACES)
    book.remove_route(route)
    assert len(book) == 0


def test_plain_check_moves_only_when_the_old_address_is_silent(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    assert not book.handle_check(route, AWAY, False, SILENT_ADDRESS_S / 2)
    assert book.handle_check(route, AWAY, False, SILENT_ADDRESS_S)


def test_media_from_another_address_moves_when_that_has_answered(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    book.handle_check(route, AWAY, False, 0.1)
    assert not book.handle_media(route, AWAY, 0.2)
    assert prove(book, route, AWAY, 0.2)
    assert not book.handle_media(route, AWAY, 0.3)
    assert route.selected == AWAY
    prove(book, route, HOME, 0.4)
    assert book.handle_media(route, HOME, 0.5)


def test_addresses_are_bounded_and_the_selected_one_stays(book: AddressBook, route: Route) -> None:
    book.handle_check(route, HOME, True, 0.0)
    for port in range(100, 150):
        book.handle_check(route, ("192.0.2.3", port), False, 0.0)
    assert len(route.known) == MAX_ADDRESSES
    assert book.find_by_address(HOME) is route
    assert book.find_by_address(("192.0.2.3", 100)) is None


def test_removal_forgets_all_but_what_another_took_over(book: AddressBook, route: Route) -> None:
    other = Route(ParticipantNumber(2), "other", "pwd")
    book.add_route(other)
    book.handle_check(route, HOME, True, 0.0)
    book.handle_check(route, AWAY, True, 0.0)
    book.handle_check(other, AWAY, True, 0.0)
    book.remove_route(route)
    assert book.find_by_address(HOME) is None
    assert book.find_by_address(AWAY) is other
    book.remove_route(other)
    assert len(book) == 0
