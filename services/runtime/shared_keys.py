"""Tokens by keys that both sides hold (HS256). Two are valid while one replaces the other: the first of them signs."""

from collections.abc import Sequence
from typing import Any

import jwt

from services.runtime.times import options

ALGORITHM = "HS256"


def as_keys(key: bytes | Sequence[bytes]) -> tuple[bytes, ...]:
    """The keys, of one or of several."""
    return (key,) if isinstance(key, bytes) else tuple(key)


def decode(
    token: str, keys: Sequence[bytes], *, audience: str, required: Sequence[str], issuer: str | None = None
) -> dict[str, Any]:
    """The claims of a token that any of the keys signed; times are not judged. Raises jwt.PyJWTError, ValueError."""
    failure: jwt.PyJWTError = jwt.InvalidSignatureError("no key")
    for key in keys:
        try:
            return jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=audience, issuer=issuer, options=options(*required)
            )
        except jwt.InvalidSignatureError as error:
            failure = error
    raise failure
