"""What the page behind a link says of itself, for who is about to send the link."""

from __future__ import annotations

from parley.previews.v1 import previews_pb2 as api

from parley_client.asking import Failure, ask
from parley_client.client import Device


class Previews:
    """Parley asks the page: its host learns neither who writes nor from where."""

    def __init__(self, device: Device) -> None:
        self._api = device.previews

    async def get(self, url: str) -> api.GetLinkPreviewResponse | None:
        """The preview of an address; None where there is none, or none is made. It is asked for once: a link that is
        about to be sent does not wait for a second try. Raises Failure, also for an address that may not be asked
        (URL_NOT_ALLOWED)."""
        try:
            answer = await ask(lambda: self._api.GetLinkPreview(api.GetLinkPreviewRequest(url=url)))
        except Failure as failure:
            if failure.reason == "PREVIEWS_OFF":
                return None
            raise
        return answer if answer.title else None
