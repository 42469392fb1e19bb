from loadtests.message_path.delivery_check import Ledger, Proof, Receiver, prove
from parley_client.conversations import Conversations
from parley_client.entries import Entry

ACKNOWLEDGED = {"c": [("one", 1), ("two", 2), ("three", 3)]}


def entry(seq: int, client_message_id: str) -> Entry:
    return Entry("c", seq, f"m{seq}", "ann", client_message_id, text="hello")


def receiver(*entries: Entry) -> Receiver:
    told = Receiver("bob", Conversations())
    for one in entries:
        told.take_live(one)
    return told


ALL = (entry(1, "one"), entry(2, "two"), entry(3, "three"))


def test_what_came_once_and_in_order_has_no_fault() -> None:
    assert prove([receiver(*ALL), receiver(*ALL)], ACKNOWLEDGED) == Proof(0, 0, 0, [])


def test_an_acknowledged_message_that_a_device_has_not_got_is_lost() -> None:
    assert prove([receiver(*ALL), receiver(*ALL[:2])], ACKNOWLEDGED).lost == 1


def test_acknowledged_messages_of_a_conversation_that_nobody_has_are_lost() -> None:
    assert prove([], ACKNOWLEDGED).lost == 3


def test_a_message_that_a_stream_brings_twice_is_duplicated() -> None:
    proof = prove([receiver(*ALL, ALL[0])], ACKNOWLEDGED)
    assert (proof.lost, proof.duplicated, proof.reordered) == (0, 1, 0)


def test_a_send_that_stands_at_two_places_is_duplicated() -> None:
    assert prove([receiver(*ALL, entry(4, "three"))], ACKNOWLEDGED).duplicated == 1


def test_a_message_that_comes_before_an_earlier_one_is_reordered() -> None:
    proof = prove([receiver(ALL[0], ALL[2], ALL[1])], ACKNOWLEDGED)
    assert (proof.lost, proof.duplicated, proof.reordered) == (0, 0, 1)


def test_two_devices_that_differ_are_reordered() -> None:
    other = receiver(ALL[0], entry(2, "three"), entry(3, "two"))
    assert prove([receiver(*ALL), other], {}).reordered == 2


def test_a_message_is_delivered_when_the_last_awaited_device_has_it() -> None:
    ledger = Ledger()
    sent = ledger.begin("one", 10.0, ["bob", "cid"])
    ledger.reach("ann", "one", 10.1)
    ledger.reach("bob", "one", 10.2)
    assert (sent.is_delivered, ledger.undelivered) == (False, 1)
    ledger.reach("cid", "one", 10.5)
    ledger.reach("cid", "one", 11.0)
    assert (sent.is_delivered, ledger.undelivered, round(sent.last_ms)) == (True, 0, 500)
