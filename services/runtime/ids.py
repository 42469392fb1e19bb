"""UUIDv7, Parley's public ids: they sort by creation time."""

import secrets
import uuid
from collections.abc import Callable
from datetime import datetime

NewId = Callable[[datetime], uuid.UUID]
NewSecret = Callable[[], str]


def uuid7(unix_ms: int, entropy: bytes) -> uuid.UUID:
    """Build a UUIDv7 (RFC 9562 section 5.7) from a time in Unix milliseconds and 10 random bytes."""
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def new_id(now: datetime) -> uuid.UUID:
    """A fresh UUIDv7 for the given time."""
    return uuid7(int(now.timestamp() * 1000), secrets.token_bytes(10))


def unix_time_of(id_: uuid.UUID) -> float | None:
    """When a UUIDv7 was made, in Unix seconds; None for an id that is none."""
    return (id_.int >> 80) / 1000 if id_.version == 7 else None


def new_secret() -> str:
    """An unguessable token of 128 bits, safe in addresses."""
    return secrets.token_urlsafe(16)
