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


def test_every_limit_is_told() -> None:
    limits = configured()
    assert all(getattr(limits, field.name) > 0 for field in api.Limits.DESCRIPTOR.fields)


async def test_limits_come_with_the_settings() -> None:
    set_current_token(UserToken(AuthUserId("alice"), expires_at=1e12))
    unused: Any = None
    relations: Any = Defaults()
    answer = await RelationsServicer(relations, unused, configured()).GetSettings(api.GetSettingsRequest(), unused)
    assert answer.limits == configured()
    assert answer.settings.send_receipts
