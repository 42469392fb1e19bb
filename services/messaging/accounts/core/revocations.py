"""Signing out: which tokens of a person are refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

# Devices of a person that are signed out one by one. Beyond so many all of them are: nothing is forgotten, and what
# every service remembers stays small.
MAX_REVOKED_DEVICES = 64
MAX_SIGNED_OUT_AT_ONCE = 20


@dataclass(frozen=True)
class Revocations:
    """Which tokens of a person are refused: those issued before these times."""

    valid_from: datetime | None = None
    # Of the tokens of this device, by their claim, only `devices` speaks.
    kept_device: str = ""
    devices: Mapping[str, datetime] = field(default_factory=dict)


def next_second(now: datetime) -> datetime:
    """From when on new tokens are good. They tell whole seconds, so that one of this second may be older than now."""
    return datetime.fromtimestamp(int(now.timestamp()) + 1, UTC)


def sign_out(before: Revocations, device_ids: tuple[str, ...], valid_from: datetime) -> Revocations:
    """Some devices more are signed out."""
    later = {device_id: max(before.devices.get(device_id, valid_from), valid_from) for device_id in device_ids}
    devices = {**before.devices, **later}
    if len(devices) > MAX_REVOKED_DEVICES:
        return sign_out_others(before, "", valid_from)
    return Revocations(before.valid_from, before.kept_device, devices)


def sign_out_others(before: Revocations, kept_device: str, valid_from: datetime) -> Revocations:
    """All are signed out but one; with an empty id, all. What was revoked of that one before stays so."""
    floors = [before.devices.get(kept_device)]
    if kept_device != before.kept_device:
        floors.append(before.valid_from)
    floor = max((time for time in floors if time), default=None)
    devices = {kept_device: floor} if kept_device and floor else {}
    return Revocations(max(before.valid_from or valid_from, valid_from), kept_device, devices)


def forget_old(before: Revocations, time: datetime) -> Revocations:
    """Without what is older than that: every token that it is about has expired."""
    devices = {device_id: valid_from for device_id, valid_from in before.devices.items() if valid_from >= time}
    if before.valid_from and before.valid_from >= time:
        return Revocations(before.valid_from, before.kept_device, devices)
    return Revocations(devices=devices)
