"""What a secret of Standard Webhooks is: `whsec_`, and base64 of 24 to 64 bytes. All services take the same."""

import base64
import binascii

SECRET_PREFIX = "whsec_"  # noqa: S105 - of all secrets, not one of them
SECRET_RULE = "whsec_ and base64 of 24 to 64 bytes"  # noqa: S105 - what they look like
_BYTES = range(24, 65)


def is_webhook_secret(value: str) -> bool:
    """Whether it is one, by its form."""
    if not value.startswith(SECRET_PREFIX):
        return False
    try:
        return len(base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)) in _BYTES
    except (binascii.Error, ValueError):
        return False
