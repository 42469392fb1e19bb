"""The state table: total, and the documentation shows it as it is."""

from pathlib import Path

import pytest

from services.signaling.core.errors import CallsError
from services.signaling.core.model import CallState, EndReason
from services.signaling.core.table import BEGIN, END, TABLE, Effect, Rule, Trigger, insert

PAGE = Path(__file__).parents[3] / "docs" / "design" / "call-states.md"


def test_every_state_and_trigger_has_a_rule_or_a_named_refusal() -> None:
    assert set(TABLE) == {(state, trigger) for state in CallState for trigger in Trigger}
    for entry in TABLE.values():
        assert isinstance(entry, Rule) or issubclass(entry, CallsError)


def test_an_ended_call_never_changes_again() -> None:
    for trigger in Trigger:
        entry = TABLE[CallState.ENDED, trigger]
        if isinstance(entry, Rule):
            assert (entry.state, entry.changes, entry.end_reason) == (CallState.ENDED, (), None)
            assert Effect.PUBLISH not in entry.effects


def test_every_way_to_the_end_has_a_reason_is_announced_and_closes_the_media() -> None:
    endings = [
        entry
        for (state, _), entry in TABLE.items()
        if isinstance(entry, Rule) and entry.state is CallState.ENDED and state is not CallState.ENDED
    ]
    assert {rule.end_reason for rule in endings} == set(EndReason) - {EndReason.BUSY}
    assert all(rule.effects == (Effect.PUBLISH, Effect.CLOSE_MEDIA) for rule in endings)


def test_a_call_never_goes_back_to_ringing() -> None:
    for (state, _), entry in TABLE.items():
        if isinstance(entry, Rule) and entry.state is CallState.RINGING:
            assert state is CallState.RINGING


def test_the_page_shows_the_table_as_it_is() -> None:
    text = PAGE.read_text()
    assert insert(text) == text, "run: python -m services.signaling.core.table docs/design/call-states.md"


def test_the_table_replaces_what_stands_between_the_markers() -> None:
    document = insert(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert "old" not in document
    assert (
        "| ring timeout | **ended, missed**; announce; close media | stop all rings; announce | no change |" in document
    )
    assert document.startswith("before\n")
    assert document.endswith("\nafter\n")


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="markers"):
        insert("nothing here")
