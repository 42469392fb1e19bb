"""What operators may say of previews."""

import pytest

from services.previews.config import USER_AGENT, Config
from services.runtime.env import ConfigError

LEAST = {
    "PARLEY_JWKS_URL": "http://issuer/jwks.json",
    "PARLEY_JWT_ISSUER": "issuer",
    "PARLEY_SERVICE_PUBLIC_KEYS_FILE": "public.json",
}


def test_no_store_no_broker_and_no_key_of_its_own_is_asked_for() -> None:
    config = Config.from_env(LEAST)
    assert (config.enabled, config.user_agent, config.timeout_s) == (True, USER_AGENT, 5)


def test_previews_can_be_turned_off() -> None:
    assert not Config.from_env({**LEAST, "PARLEY_PREVIEWS_ENABLED": "false"}).enabled


def test_a_name_that_would_break_requests_is_refused() -> None:
    with pytest.raises(ConfigError, match="PARLEY_PREVIEWS_USER_AGENT"):
        Config.from_env({**LEAST, "PARLEY_PREVIEWS_USER_AGENT": "a\r\nHost: b"})
