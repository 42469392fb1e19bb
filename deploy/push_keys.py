"""Keys of Web Push: `python -m deploy.push_keys mailto:someone@example.com` prints the part of the file of providers.

Devices subscribe with the public half, so that a new key makes all of them subscribe anew: make it once.
"""

from __future__ import annotations

import base64
import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec


def web_push_of(subject: str) -> dict[str, object]:
    """What the file of providers says of Web Push, with a new key. `subject`: whom a push service may write to."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    key = base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
    return {"web_push": {"private_key": key, "subject": subject}}


def main(arguments: list[str]) -> int:
    """Returns 0, or 2 for a subject that is none."""
    if len(arguments) != 1 or not arguments[0].startswith(("mailto:", "https://")):
        sys.stderr.write("usage: python -m deploy.push_keys mailto:SOMEONE | https://ADDRESS\n")
        return 2
    sys.stdout.write(json.dumps(web_push_of(arguments[0]), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
