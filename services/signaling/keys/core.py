"""What an account's devices have published, and which of a sender's sealed keys go on. Keys are opaque bytes here."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.signaling.core.errors import (
    AccountKeyOutdated,
    CallEnded,
    CallNotFound,
    DeviceKeysNotFound,
    KeyDeviceLimit,
    NotInCall,
)
from services.signaling.core.model import Call, CallId, CallState, DeviceId, UserId

# Devices of one account. Raising it makes answers about people larger; lowering it shuts out people with many browsers.
MAX_DEVICES = 32


@dataclass(frozen=True)
class Device:
    """A device's public keys. Without a signature the account's other devices have not confirmed it."""

    device_id: DeviceId
    signing_key: bytes
    kem_key: bytes
    publish_time: datetime
    signature: bytes = b""
    sealed_account_key: bytes = b""

    def has_keys_of(self, other: "Device") -> bool:
        """Whether it is the other one, confirmed or not."""
        return (self.device_id, self.signing_key, self.kem_key) == (other.device_id, other.signing_key, other.kem_key)


@dataclass(frozen=True)
class Account:
    """An account's key and its devices, each once."""

    user_id: UserId
    version: int
    account_key: bytes
    devices: tuple[Device, ...] = ()

    def device(self, device_id: DeviceId) -> Device | None:
        """The device of that id."""
        return next((device for device in self.devices if device.device_id == device_id), None)

    def told_to(self, user_id: UserId) -> "Account":
        """As a person is shown it: to others, only what is confirmed, and nothing that is sealed."""
        if user_id == self.user_id:
            return self
        shown = (replace(device, sealed_account_key=b"") for device in self.devices if device.signature)
        return replace(self, devices=tuple(shown))


def publish(before: Account | None, user_id: UserId, version: int, account_key: bytes, device: Device) -> Account:
    """The account with a device's keys. Raises AccountKeyOutdated, KeyDeviceLimit."""
    if before is None or before.version == version - 1:
        # The first device, or one that makes the account's key anew: nobody else can have signed it.
        if version != (1 if before is None else before.version + 1) or not device.signature:
            raise AccountKeyOutdated
        return Account(user_id, version, account_key, (device,))
    if (before.version, before.account_key) != (version, account_key):
        raise AccountKeyOutdated
    known = before.device(device.device_id)
    if known and known.has_keys_of(device) and not device.signature:
        return before
    others = [each for each in before.devices if each.device_id != device.device_id]
    return replace(before, devices=(*_with_room(others), device))


def _with_room(devices: Sequence[Device]) -> Sequence[Device]:
    if len(devices) < MAX_DEVICES:
        return devices
    unconfirmed = [device for device in devices if not device.signature]
    if not unconfirmed:
        raise KeyDeviceLimit
    oldest = min(unconfirmed, key=lambda device: (device.publish_time, device.device_id))
    return [device for device in devices if device is not oldest]


def confirm(before: Account | None, version: int, device: Device) -> Account:
    """The account with a signature for one of its devices. Raises AccountKeyOutdated, DeviceKeysNotFound."""
    if before is None or before.version != version:
        raise AccountKeyOutdated
    known = before.device(device.device_id)
    if known is None or not known.has_keys_of(device):
        raise DeviceKeysNotFound
    if known.signature:
        return before
    confirmed = replace(known, signature=device.signature, sealed_account_key=device.sealed_account_key)
    return replace(before, devices=tuple(confirmed if each is known else each for each in before.devices))


def remove(before: Account, device_ids: Iterable[DeviceId]) -> Account:
    """The account without these devices; its key stays, so that a version is never used twice."""
    gone = set(device_ids)
    return replace(before, devices=tuple(each for each in before.devices if each.device_id not in gone))


# Whether a device's tokens of that time are refused.
IsRevoked = Callable[[datetime, DeviceId], bool]


def remove_revoked(before: Account | None, is_revoked: IsRevoked) -> Account | None:
    """The account without the devices that were signed out since they published their keys."""
    if before is None:
        return None
    return remove(before, [each.device_id for each in before.devices if is_revoked(each.publish_time, each.device_id)])


@dataclass(frozen=True)
class SealedKey:
    """A frame key, sealed to one device."""

    user_id: UserId
    device_id: DeviceId
    sealed_key: bytes


@dataclass(frozen=True)
class CallKey:
    """A sealed key with where it comes from."""

    call_id: CallId
    sender_id: UserId
    sender_device_id: DeviceId
    epoch: int
    key: SealedKey


def keys_to_pass_on(
    call: Call | None, user_id: UserId, device_id: DeviceId, epoch: int, keys: Sequence[SealedKey]
) -> list[CallKey]:
    """Those for other devices that are in the call now. Raises CallNotFound, CallEnded, NotInCall."""
    present = check_in_call(call, user_id, device_id)
    wanted = {(key.user_id, key.device_id): key for key in keys if key.user_id != user_id}
    return [
        CallKey(present.call_id, user_id, device_id, epoch, key)
        for key in wanted.values()
        if present.has_device(key.user_id, key.device_id)
    ]


def keys_for(call: Call | None, user_id: UserId, device_id: DeviceId, stored: Sequence[CallKey]) -> list[CallKey]:
    """Those of senders that are in the call now. Raises CallNotFound, CallEnded, NotInCall."""
    present = check_in_call(call, user_id, device_id)
    return [key for key in stored if present.has_device(key.sender_id, key.sender_device_id)]


def check_in_call(call: Call | None, user_id: UserId, device_id: DeviceId) -> Call:
    """The call, which runs and has this device. Raises CallNotFound, CallEnded, NotInCall."""
    if call is None or call.leg_of(user_id) is None:
        raise CallNotFound
    if call.state is CallState.ENDED:
        raise CallEnded
    if not call.has_device(user_id, device_id):
        raise NotInCall
    return call
