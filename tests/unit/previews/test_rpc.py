"""What a caller gets of a preview, and of there being none."""

from __future__ import annotations

from typing import Any, cast

import pytest
from parley.previews.v1 import previews_pb2 as api

from services.previews.core.errors import NoPreview
from services.previews.core.model import Preview, UserId
from services.previews.rpc import PreviewsServicer
from services.previews.service import Previews
from services.runtime.identity.auth import UserId as CallerId
from services.runtime.identity.auth import UserToken, set_current_token

URL = "https://page.example/"


class Stub:
    """In place of the use-case."""

    def __init__(self, found: Preview | None) -> None:
        self._found = found

    async def get(self, user_id: UserId, url: str) -> Preview:
        assert (user_id, url) == ("alice", URL)
        if self._found is None:
            raise NoPreview
        return self._found


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (Preview("T", "D", "S"), api.GetLinkPreviewResponse(url=URL, title="T", description="D", site_name="S")),
        # Most links have none: no error, and no word of why.
        (None, api.GetLinkPreviewResponse(url=URL)),
    ],
)
async def test_an_answer_without_a_title_says_that_there_is_none(
    found: Preview | None, answer: api.GetLinkPreviewResponse
) -> None:
    set_current_token(UserToken(CallerId("alice"), 2e9))
    servicer = PreviewsServicer(cast(Previews, Stub(found)))
    assert await servicer.GetLinkPreview(api.GetLinkPreviewRequest(url=URL), cast(Any, None)) == answer
