"""The state table in Markdown, between two markers of a page."""

from collections.abc import Iterable
from typing import Any

from services.signaling.core.model import CallState
from services.signaling.core.rules import Handler, Outcome, TableRow

BEGIN = "<!-- state table: made by `python -m services.signaling.core.table` -->"
END = "<!-- end of the state table -->"


def insert(document: str, handlers: Iterable[Handler[Any]]) -> str:
    """The document with the table between its two marker lines. Raises ValueError when they are missing."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError("the document has no markers for the state table")
    return f"{head}{BEGIN}\n\n{_render(handlers)}\n\n{END}{tail}"


def _render(handlers: Iterable[Handler[Any]]) -> str:
    """A row once, at the first handler that has it; a column a state."""
    head = ["| input | " + " | ".join(state.value for state in CallState) + " |", "|---|---|---|---|"]
    rows: dict[str, TableRow[Any]] = {row.text: row for handler in handlers for row in handler.rows}
    return "\n".join([*head, *map(_render_row, rows.values())])


def _render_row(row: TableRow[Any]) -> str:
    cells = [_render_cell(state, row.outcome(state)) for state in CallState]
    return f"| {row.text} | " + " | ".join(cells) + " |"


def _render_cell(state: CallState, outcome: Outcome[Any]) -> str:
    if isinstance(outcome, type):
        return f"refused: {outcome.__name__}"
    parts = [*(change.text for change in outcome.changes), *(effect.value for effect in outcome.effects)]
    if outcome.end_reason:
        parts.insert(0, f"**ended, {outcome.end_reason.value}**")
    elif outcome.state is not state:
        parts.insert(0, f"**{outcome.state.value}**")
    return "; ".join(parts) or "no change"
