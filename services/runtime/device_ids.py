"""What a device's id may be. The device chooses it and keeps it; all services take the same."""

import re

# Raising the most makes keys longer; lowering it shuts out devices that have a long one, which they keep.
_DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
DEVICE_ID_RULE = "must be 8 to 64 of A-Z, a-z, 0-9, '_' and '-'"


def is_device_id(value: str) -> bool:
    """Whether the value can be a device's id: see DEVICE_ID_RULE."""
    return _DEVICE_ID.fullmatch(value) is not None
