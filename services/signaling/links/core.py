"""What a join link is: its secret, how long it opens, and who its hosts are."""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.signaling.core.model import OUTSIDE, Call, CallId, LegState, LinkId, UserId

# 192 bits, as 32 characters of base64url. Raising it makes addresses longer; below 128 bits a secret can be guessed.
SECRET_BYTES = 24
SALT_BYTES = 32
_SECRET = re.compile(r"[A-Za-z0-9_-]{32}")
MIN_TTL_S = 60
# A link ends with its call in any case. Raising it lets an address that was passed on open longer.
MAX_TTL_S = 7 * 86_400
DEFAULT_TTL_S = 86_400
# Links of one call that are open at once. Raising it makes more ways in that somebody has to remember; lowering it
# keeps hosts from giving each guest an own one.
MAX_OPEN_LINKS = 32


@dataclass(frozen=True)
class JoinLink:
    """A way into one call. The maker is empty when that account was deleted."""

    link_id: LinkId
    call_id: CallId
    maker_id: UserId
    create_time: datetime
    expire_time: datetime
    revoke_time: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it can be opened, as far as it says itself."""
        return self.revoke_time is None and now < self.expire_time


@dataclass(frozen=True)
class StoredLink:
    """A link with what is stored of its secret. `request_hash` is None without a client's id of the request."""

    link: JoinLink
    secret_hash: bytes
    salt: bytes
    request_hash: bytes | None = None


def secret_of(salt: bytes, request_id: str) -> str:
    """The secret of a link, from the server's randomness, so that nobody guesses it, and from the client's id of the
    request, so that a retry gets the same and whoever reads the table does not. Without that id the salt is not kept:
    see `link_of`."""
    made = hmac.digest(salt, request_id.encode(), "sha256")[:SECRET_BYTES]
    return base64.urlsafe_b64encode(made).decode()


def is_secret(value: str) -> bool:
    """Whether it can be one."""
    return _SECRET.fullmatch(value) is not None


def hash_of(secret: str) -> bytes:
    """What is stored of it. A secret has 192 bits, so that no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()


def request_hash_of(maker_id: UserId, call_id: CallId, request_id: str) -> bytes | None:
    """What is stored of a client's id of a request; None without one. The id itself would give the secret."""
    if not request_id:
        return None
    return hashlib.sha256("\n".join((maker_id, call_id, request_id)).encode()).digest()


def link_of(link: JoinLink, salt: bytes, request_id: str) -> tuple[StoredLink, str]:
    """What is to be stored of a new link, and its secret."""
    secret = secret_of(salt, request_id)
    request_hash = request_hash_of(link.maker_id, link.call_id, request_id)
    # Of a request that cannot be known again the salt alone would give the secret.
    return StoredLink(link, hash_of(secret), salt if request_hash else b"", request_hash), secret


def expiry(now: datetime, ttl_s: int) -> datetime:
    """When a link ends that is made now; 0 for the default."""
    return now + timedelta(seconds=ttl_s or DEFAULT_TTL_S)


def is_host(user_id: UserId, maker_id: UserId, members: Collection[UserId], admins: Collection[UserId]) -> bool:
    """Whether somebody decides who comes in by a link: its maker, and the group's admins, while they are members."""
    return user_id in members and (user_id in admins or user_id == maker_id)


def came_by(call: Call, user_id: UserId, link_id: LinkId) -> bool:
    """Whether somebody waits in the call's lobby by the link, or was let in by it and not put out since."""
    leg = next((leg for leg in call.legs if leg.user_id == user_id and leg.link_id == link_id), None)
    if leg is None:
        return False
    return leg.state is LegState.LOBBY or (leg.state not in OUTSIDE and not leg.is_gone)
