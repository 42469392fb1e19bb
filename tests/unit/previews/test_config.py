"""What operators may say of previews."""

from ipaddress import ip_network

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


def test_networks_of_ones_own_are_named() -> None:
    """Public by their numbers: nobody else can know that they are inside."""
    assert Config.from_env(LEAST).own_networks == ()
    config = Config.from_env({**LEAST, "PARLEY_PREVIEWS_OWN_NETWORKS": "8.8.8.0/24, 2600:1f00::/40"})
    assert config.own_networks == (ip_network("8.8.8.0/24"), ip_network("2600:1f00::/40"))
    for fault in ("8.8.8.8/24", "example.org", "8.8.8.0/33"):
        with pytest.raises(ConfigError, match="PARLEY_PREVIEWS_OWN_NETWORKS"):
            Config.from_env({**LEAST, "PARLEY_PREVIEWS_OWN_NETWORKS": fault})
