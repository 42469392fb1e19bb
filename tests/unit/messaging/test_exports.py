"""Exports go on where they were, and no two runners write one object."""

from uuid import UUID

import pytest

from services.messaging.accounts.core.exports import ExportCursor, Section, dump_export, load_export, part_key
from services.messaging.accounts.core.jobs import Claim, JobId, JobKind
from services.messaging.kernel.model import ConversationId, UserId


@pytest.mark.parametrize(
    "cursor",
    [
        ExportCursor(),
        ExportCursor(Section.ROWS, 3, '{"body": "\\"x\\" é"}', None, -1, 4),
        ExportCursor(Section.CONVERSATIONS, 8, "", ConversationId(UUID(int=7)), 12, 5),
        ExportCursor(Section.DONE),
    ],
)
def test_an_export_goes_on_where_its_cursor_was_written(cursor: ExportCursor) -> None:
    assert load_export(dump_export(cursor)) == cursor
    assert load_export("") == ExportCursor()


def test_two_holders_of_a_job_never_write_the_same_object() -> None:
    one, other = (Claim(JobId(UUID(int=1)), UserId("alice"), JobKind.EXPORT, "", UUID(int=lease)) for lease in (2, 3))
    assert part_key(one, 0) != part_key(other, 0)
