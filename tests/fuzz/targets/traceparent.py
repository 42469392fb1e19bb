"""Trace contexts of strangers (W3C): meant as written, or nothing."""

from services.runtime.observability import tracing

SEEDS = (
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
    b"00-00000000000000000000000000000000-0000000000000000-00",
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a context or None."""
    context = tracing.parse(data.decode("latin-1"))
    assert context is None or tracing.parse(context.header()) == context
