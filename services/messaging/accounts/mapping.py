"""What all services are told of an account, on accounts.events.v1."""

from datetime import datetime

from services.messaging.accounts.core.revocations import Revocations
from services.messaging.kernel.model import UserId
from services.runtime.identity.accounts import Standing, encode


def deleted_account(user_id: UserId, delete_time: datetime, now: datetime, *, erased: bool) -> bytes:
    """That it is deleted."""
    return encode(user_id, Standing(deleted=True, erased=erased), now.timestamp(), delete_time.timestamp())


def open_account(user_id: UserId, revocations: Revocations, now: datetime) -> bytes:
    """Which of its tokens are revoked; nothing, a tombstone, when none are."""
    standing = standing_of(revocations)
    return encode(user_id, standing, now.timestamp(), None) if standing.newest else b""


def standing_of(revocations: Revocations) -> Standing:
    """Revocations as every replica holds them."""
    return Standing(
        valid_from=revocations.valid_from.timestamp() if revocations.valid_from else 0.0,
        kept_device=revocations.kept_device,
        devices={device_id: time.timestamp() for device_id, time in revocations.devices.items()},
    )
