"""Files of one device on their way to the object store, as a program handles them."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from parley.messaging.v1 import attachments_pb2 as api

from parley_client.asking import ATTEMPTS, ask_until_told
from parley_client.client import Device
from parley_client.stream import BackOff

# Of a store that says nothing. Raising it keeps a program waiting for a dead one; lowering it gives slow lines up.
_STORE_TIMEOUT_S = 60.0
# The bytes arrived before: a first answer was lost.
_THERE = 412


class TransferError(Exception):
    """The bytes did not get to the store. `status`: of its HTTP answer, 0 when it gave none."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"the store answered {status}" if status else "the store could not be reached")


class Uploads:
    """Gives files to the store, for messages of this device."""

    def __init__(self, device: Device, chance: Callable[[], float] = random.random) -> None:
        self._api = device.attachments
        self._chance = chance

    async def put(
        self, file_name: str, content_type: str, body: bytes, *, width: int = 0, height: int = 0, length_s: float = 0
    ) -> str:
        """Uploads a file, and gives the id under which one message takes it: `Draft.attachment_ids`, `NewVoice`.

        `width` and `height`: of pictures and videos, in pixels. `length_s`: of sounds and videos. The bytes go as they
        are: nothing is taken out of them. Raises Failure and TransferError, and repeats by itself what passes.
        """
        request = api.CreateUploadRequest(
            client_upload_id=str(uuid.uuid4()),
            file_name=file_name,
            content_type=content_type,
            size_bytes=len(body),
            width=width,
            height=height,
        )
        if length_s:
            request.length.FromMilliseconds(round(length_s * 1000))
        back_off = BackOff()
        for attempt in range(ATTEMPTS):
            # Asked anew each time: an address is good for a while.
            announced = await ask_until_told(lambda: self._api.CreateUpload(request))
            try:
                await asyncio.to_thread(_put, announced.upload_url, dict(announced.headers), body)
                break
            except TransferError as error:
                if attempt + 1 == ATTEMPTS or 0 < error.status < 500:
                    raise
                await asyncio.sleep(back_off.delay_s(attempt, self._chance()))
        return announced.attachment.attachment_id


def _put(url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Blocks. Raises TransferError."""
    # The service gave the address.
    request = Request(url, body, dict(headers), method="PUT")  # noqa: S310
    try:
        with urlopen(request, timeout=_STORE_TIMEOUT_S):  # noqa: S310
            return
    except HTTPError as error:
        if error.code != _THERE:
            raise TransferError(error.code) from error
    except (OSError, HTTPException) as error:
        raise TransferError(0) from error
