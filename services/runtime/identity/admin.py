"""People who call the admin services: known by an issuer of their own, never by tokens of users or services."""

from contextvars import ContextVar

from services.runtime.clock import Clock
from services.runtime.config import AdminConfig
from services.runtime.identity.auth import UserToken, UserTokens
from services.runtime.identity.jwks import JwksKeys, http_jwks

# From iat to exp. Raising it lets a stolen token serve for longer: none of them is ever revoked. Lowering it makes
# people log in again in the middle of their work.
ADMIN_MAX_LIFE_S = 3600.0

_admin: ContextVar[UserToken | None] = ContextVar("parley_admin", default=None)


def admin_tokens(config: AdminConfig | None, clock: Clock) -> UserTokens | None:
    """What checks the tokens of people; None when no issuer of theirs is configured."""
    if config is None or not config.jwks_url:
        return None
    return UserTokens(
        JwksKeys(http_jwks(config.jwks_url), clock),
        config.jwt_issuer,
        config.jwt_audience,
        clock,
        max_life_s=ADMIN_MAX_LIFE_S,
        device_claim="",
        roles_claim=config.roles_claim,
    )


def current_admin() -> str:
    """The subject of the person whose admin RPC is being served. Raises LookupError outside of one, which is a bug."""
    token = _admin.get()
    if token is None:
        raise LookupError("no person of an admin service in this context")
    return token.user_id


def set_current_admin(token: UserToken) -> None:
    """Bind the person to the context of this RPC."""
    _admin.set(token)
