"""What an outside server answers is read up to a bound: its size is not ours to trust."""

import aiohttp


class BodyTooLarge(ValueError):
    """The body goes on after the bound."""


async def read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The whole body, decompressed. Raises BodyTooLarge, aiohttp.ClientError, TimeoutError."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(16_384):
        body += chunk
        if len(body) > max_bytes:
            # The rest is never asked for: the connection is closed.
            response.close()
            raise BodyTooLarge(f"more than {max_bytes} bytes")
    return bytes(body)


async def read_beginning(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """At most so many bytes of the body, also of a server that gives more than it was asked for. Raises
    aiohttp.ClientError, TimeoutError."""
    body = b""
    while len(body) < most_bytes and (part := await response.content.read(most_bytes - len(body))):
        body += part
    return body
