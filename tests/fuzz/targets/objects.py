"""What an object store says of the size of an object: a size, whatever it says."""

from services.messaging.attachments.core.uploads import MAX_SIZE_DIGITS, stored_size

SEEDS = (b"bytes 0-9/10", b"bytes 0-9/*", b"10", b"bytes 0-9/" + b"9" * 5000, "bytes 0-9/١٠".encode(), b"-1", b"")


def fuzz(data: bytes) -> None:
    """Raises for any exception, and for a size that is none."""
    # Headers are read as aiohttp reads them.
    said = data.decode("utf-8", "surrogateescape")
    size = stored_size(said)
    assert 0 <= size < 10**MAX_SIZE_DIGITS
    if size:
        assert stored_size(f"bytes 0-0/{size}") == stored_size(str(size)) == size
