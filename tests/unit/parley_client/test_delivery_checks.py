"""What the proof finds: messages that are missing, doubled or out of order."""

from __future__ import annotations

from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.history import History
from tests.support.client_entries import entry


def test_the_proof_names_an_acknowledged_message_that_is_missing() -> None:
    history = History("c1")
    history.add(entry(1))
    assert delivery_faults(history, [("k1", 1), ("k2", 2)]) == ["acknowledged k2 is not at seq 2"]


def test_the_proof_names_a_client_id_that_stands_twice() -> None:
    history = History("c1")
    history.add(entry(1, client_id="k"))
    history.add(entry(2, client_id="k"))
    assert delivery_faults(history, []) == ["k stands twice: seq [1, 2]"]


def test_the_proof_names_a_gap_that_was_never_filled() -> None:
    history = History("c1")
    history.add(entry(3))
    assert delivery_faults(history, []) == ["seq 1 never came, though seq 3 did"]


def test_two_devices_with_other_messages_at_one_seq_differ() -> None:
    one, other = History("c1"), History("c1")
    one.add(entry(1))
    other.add(entry(1, message_id="x"))
    assert order_differences(one, other) == ["seq 1 differs between the devices"]
