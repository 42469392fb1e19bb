"""Deletions go on where they were."""

from uuid import UUID

import pytest

from services.messaging.accounts.core.deletions import DeletionCursor, Phase, dump_deletion, load_deletion
from services.messaging.kernel.model import ConversationId


@pytest.mark.parametrize(
    "cursor",
    [
        DeletionCursor(),
        DeletionCursor(Phase.CONVERSATIONS, ConversationId(UUID(int=7))),
        DeletionCursor(Phase.ROWS, None, 3),
    ],
)
def test_a_deletion_goes_on_where_its_cursor_was_written(cursor: DeletionCursor) -> None:
    assert load_deletion(dump_deletion(cursor)) == cursor
    assert load_deletion("") == DeletionCursor()
