"""The state table: total, and the documentation shows it as it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from services.signaling.core.errors import CallsError
from services.signaling.core.inputs import Input
from services.signaling.core.model import CallState, EndReason
from services.signaling.core.rules import Effect, Outcome, Rule
from services.signaling.core.table import TABLE
from services.signaling.core.table_page import BEGIN, END, insert

PAGE = Path(__file__).parents[3] / "docs" / "design" / "call-states.md"


def outcomes() -> Iterator[tuple[CallState, type, Outcome[Any]]]:
    """Every cell of the table."""
    for kind, handler in TABLE.items():
        for row in handler.rows:
            for state in CallState:
                yield state, kind, row.outcome(state)


def test_every_state_and_input_has_a_rule_or_a_named_refusal() -> None:
    assert set(TABLE) == set(get_args(Input))
    assert {(state, kind) for state, kind, _ in outcomes()} == {(s, k) for s in CallState for k in get_args(Input)}
    for _, _, outcome in outcomes():
        assert isinstance(outcome, Rule) or issubclass(outcome, CallsError)


def test_a_row_is_known_by_its_text_alone() -> None:
    rows = [row for handler in TABLE.values() for row in handler.rows]
    for row in rows:
        assert all(other == row for other in rows if other.text == row.text)


def test_an_ended_call_never_changes_again() -> None:
    for state, _, outcome in outcomes():
        if state is CallState.ENDED and isinstance(outcome, Rule):
            assert (outcome.state, outcome.changes, outcome.end_reason) == (CallState.ENDED, (), None)
            assert Effect.PUBLISH not in outcome.effects


def test_every_way_to_the_end_has_a_reason_is_published_and_closes_the_media() -> None:
    endings = [
        outcome
        for state, _, outcome in outcomes()
        if isinstance(outcome, Rule) and outcome.state is CallState.ENDED and state is not CallState.ENDED
    ]
    assert {rule.end_reason for rule in endings} == set(EndReason) - {EndReason.BUSY}
    assert all(rule.effects == (Effect.PUBLISH, Effect.CLOSE_MEDIA) for rule in endings)


def test_a_call_never_goes_back_to_ringing() -> None:
    for state, _, outcome in outcomes():
        if isinstance(outcome, Rule) and outcome.state is CallState.RINGING:
            assert state is CallState.RINGING


def test_the_page_shows_the_table_as_it_is() -> None:
    text = PAGE.read_text()
    now = insert(text, TABLE.values())
    assert now == text, "run: python -m services.signaling.core.table docs/design/call-states.md"


def test_the_table_replaces_what_stands_between_the_markers() -> None:
    document = insert(f"before\n{BEGIN}\nold\n{END}\nafter\n", TABLE.values())
    assert "old" not in document
    assert (
        "| ring timeout | **ended, missed**; publish; close media | stop all rings; publish | no change |" in document
    )
    assert document.startswith("before\n")
    assert document.endswith("\nafter\n")


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="markers"):
        insert("nothing here", TABLE.values())
