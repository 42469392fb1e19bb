"""What the drills judge by, on seeded outcomes: each kind of loss is found, and nothing else."""

from __future__ import annotations

from loadtests.disasters.judging import Report, device_faults, missing, store_faults
from parley_client.entries import Entry
from parley_client.history import History

ACKNOWLEDGED = [(f"k{seq}", seq) for seq in range(1, 5)]
STORED = {seq: client_message_id for client_message_id, seq in ACKNOWLEDGED}


def device(*seqs: int, message_ids: str = "m") -> History:
    history = History("c1")
    for seq in seqs:
        history.add(Entry("c1", seq, f"{message_ids}{seq}", "alice", f"k{seq}"))
    return history


def test_a_store_with_all_that_was_acknowledged_and_more_has_no_fault() -> None:
    assert store_faults(ACKNOWLEDGED, {**STORED, 5: "sent, and the answer was lost"}) == []


def test_messages_after_the_backup_that_are_gone_are_counted_and_the_first_is_named() -> None:
    restored = {seq: STORED[seq] for seq in (1, 2)}
    assert missing(ACKNOWLEDGED, restored) == [3, 4]
    assert store_faults(ACKNOWLEDGED, restored) == ["2 acknowledged messages are not there, the first at seq 3"]


def test_a_standby_that_was_behind_and_gave_the_seq_anew_has_lost_what_stood_there() -> None:
    assert store_faults(ACKNOWLEDGED, {**STORED, 4: "written after"}) == [
        "1 acknowledged messages are not there, the first at seq 4"
    ]


def test_a_hole_in_the_store_is_found_though_nobody_was_told_of_what_stood_there() -> None:
    assert store_faults([("k1", 1), ("k3", 3)], {1: "k1", 3: "k3"}) == ["the store has no seq 2, though it has 3"]


def test_a_send_that_was_stored_once_more_after_the_disaster_is_found() -> None:
    assert store_faults(ACKNOWLEDGED, {**STORED, 5: "k1"}) == ["1 messages stand twice in the store"]


def test_records_of_calls_have_no_id_of_a_client_and_are_not_taken_for_doubles() -> None:
    assert store_faults(ACKNOWLEDGED, {**STORED, 5: "", 6: ""}) == []


def test_a_drill_in_which_nothing_was_acknowledged_proves_nothing() -> None:
    assert store_faults([], STORED) == ["nothing was acknowledged before the loss, so that nothing is proved"]
    assert device_faults([], [device(), device()]) == [
        "nothing was acknowledged after the loss, so that nothing is proved",
    ]


def test_two_devices_with_everything_in_one_order_have_no_fault() -> None:
    assert device_faults(ACKNOWLEDGED, [device(1, 2, 3, 4), device(4, 2, 2, 1, 3)]) == []


def test_events_that_no_outbox_kept_are_missed_at_the_device() -> None:
    assert device_faults(ACKNOWLEDGED, [device(1, 2, 3, 4), device(1, 2)]) == [
        "device 2 has the messages up to 2, and 4 were acknowledged"
    ]


def test_a_gap_at_a_device_is_found() -> None:
    assert device_faults(ACKNOWLEDGED, [device(1, 2, 3, 4), device(1, 2, 4)]) == [
        "device 2 has the messages up to 2, and 4 were acknowledged",
        "seq 3 never came, though seq 4 did",
    ]


def test_devices_that_saw_different_messages_at_one_seq_are_found() -> None:
    assert device_faults(ACKNOWLEDGED, [device(1, 2, 3, 4), device(1, 2, 3, 4, message_ids="x")])[0] == (
        "seq 1 differs between the devices"
    )


def test_the_report_of_a_drill_that_found_something_is_not_ok() -> None:
    report = Report("backup", {"lost": 1}, ["1 acknowledged messages are not there, the first at seq 4"])
    assert report.as_dict() == {"drill": "backup", "ok": False, "lost": 1, "errors": report.errors}
    assert Report("backup").as_dict()["ok"] is True
