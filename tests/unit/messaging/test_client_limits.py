"""Clients are told what the service takes, as it is configured."""

from __future__ import annotations

from typing import Any

import pytest
from parley.messaging.v1 import relations_pb2 as api

from services.messaging.config import Config
from services.messaging.kernel.model import UserId
from services.messaging.relations.core.reach import Settings
from services.messaging.relations.rpc import RelationsServicer
from services.messaging.wiring import client_limits
from services.runtime.env import ConfigError
from services.runtime.identity.auth import UserId as AuthUserId
from services.runtime.identity.auth import UserToken, set_current_token
from tests.support.environments import MESSAGING

CONFIGURED = {
    "PARLEY_TEXT_LIMIT": ("text_chars", 500),
    "PARLEY_ATTACHMENTS": ("attachments", 3),
    "PARLEY_UPLOAD_BYTES": ("upload_bytes", 7_000),
    "PARLEY_GROUP_MEMBERS": ("group_members", 12),
}


class Defaults:
    """Relations of people who never made a setting."""

    async def get_settings(self, user_id: UserId) -> Settings:
        return Settings()


def configured(**changed: str) -> api.Limits:
    return client_limits(Config.from_env({**MESSAGING, **changed}))


@pytest.mark.parametrize(("variable", "told"), CONFIGURED.items())
def test_a_limit_that_is_configured_is_told(variable: str, told: tuple[str, int]) -> None:
    field, value = told
    assert getattr(configured(**{variable: str(value)}), field) == value


def test_the_hosts_of_stickers_are_told_and_are_none_by_default() -> None:
    assert list(configured().sticker_hosts) == []
    hosts = ["media.example", "xn--bcher-kva.example"]
    assert list(configured(PARLEY_STICKER_HOSTS=", ".join(hosts)).sticker_hosts) == hosts


@pytest.mark.parametrize(
    "host",
    ["Media.example", "media.example.", "*.example", "media.example:443", "https://media.example", "bücher.example"],
)
def test_a_host_of_stickers_that_has_another_spelling_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="PARLEY_STICKER_HOSTS"):
        configured(PARLEY_STICKER_HOSTS=f"media.example,{host}")


def test_every_limit_is_told() -> None:
    limits = configured(PARLEY_STICKER_HOSTS="media.example")
    assert all(getattr(limits, field.name) for field in api.Limits.DESCRIPTOR.fields)


async def test_limits_come_with_the_settings() -> None:
    set_current_token(UserToken(AuthUserId("alice"), expires_at=1e12))
    unused: Any = None
    relations: Any = Defaults()
    answer = await RelationsServicer(relations, unused, configured()).GetSettings(api.GetSettingsRequest(), unused)
    assert answer.limits == configured()
    assert answer.settings.send_receipts
