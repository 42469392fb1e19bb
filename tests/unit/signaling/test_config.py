"""Signaling's configuration."""

import pytest

from services.runtime.env import ConfigError
from services.signaling.config import Config

ENOUGH = {
    "PARLEY_JWKS_URL": "http://127.0.0.1:1/jwks",
    "PARLEY_JWT_ISSUER": "dev",
    "PARLEY_SERVICE_PUBLIC_KEYS_FILE": "/keys/public.json",
    "PARLEY_SERVICE_PRIVATE_KEYS_FILE": "/keys/signaling.json",
    "PARLEY_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "PARLEY_DATABASE_URL": "postgresql://127.0.0.1/signaling",
    "PARLEY_MESSAGING_ADDRESS": "127.0.0.1:7000",
}


def test_defaults_serve_one_to_one_calls() -> None:
    config = Config.from_env(ENOUGH)
    timeouts = config.timeouts
    assert (timeouts.ring_s, timeouts.media_lost_s, timeouts.device_closed_s) == (45, 60, 10)
    assert (config.grants.token_ttl_s, config.grants.audio_slots, config.grants.video_slots) == (60, 1, 1)


@pytest.mark.parametrize("missing", ENOUGH)
def test_a_missing_setting_is_named(missing: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_env({name: value for name, value in ENOUGH.items() if name != missing})
    assert [problem for problem in caught.value.problems if missing in problem]


def test_all_faults_are_told_at_once() -> None:
    faulty = ENOUGH | {"PARLEY_CALLS_PER_MINUTE": "x", "PARLEY_RING_TIMEOUT_S": "-1", "PARLEY_AUDIO_SLOTS": "many"}
    with pytest.raises(ConfigError) as caught:
        Config.from_env(faulty)
    assert len(caught.value.problems) == 3
