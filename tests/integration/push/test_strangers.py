"""The strangers' test for NotificationsService: whoever names another's device, token or conversation is told what they
are told of one that does not exist."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import Message
from parley.notifications.v1 import service_pb2 as api

from services.push.core.model import DeviceId, Level, Provider, Token, TokenId
from services.push.rpc import ERRORS, NotificationsServicer
from services.runtime.errors import BASE_TABLE
from services.runtime.identity.auth import UserId as CallerId
from services.runtime.identity.auth import UserToken, set_current_token
from tests.integration.push.conftest import CONVERSATION, ME, Push
from tests.support.push_providers.apns import APP
from tests.support.strangers import Findings, Questions, Told, ask_both, told

TABLE = {**BASE_TABLE, **ERRORS}
SERVICE = api.DESCRIPTOR.services_by_name["NotificationsService"]
MINE = "the-token-of-me"


@pytest.fixture
async def asked(push: Push) -> Any:
    """Asks as a stranger, of what I have."""
    await push.devices.register(Token(TokenId(str(uuid4())), ME, DeviceId("my-phone-0"), Provider.NETWORK, MINE))
    await push.devices.set_level(ME, CONVERSATION, Level.NONE)
    await push.say()
    servicer = NotificationsServicer(push.devices, lambda: push.providers, lambda: TokenId(str(uuid4())))
    now = time.time()
    token = UserToken(CallerId("stranger"), now + 60, now, "", None, frozenset())

    async def ask_as(request: Message, method: str) -> Told:
        set_current_token(token)
        try:
            return await told(lambda one: getattr(servicer, method)(one, None), request, TABLE)
        finally:
            set_current_token(None)

    return ask_as


def values(device_id: str, token: str, conversation_id: str) -> dict[str, list[Any]]:
    return {
        "device_id": [device_id, "x"],
        "token": [token, ""],
        "conversation_id": [conversation_id, "x"],
        "provider": [api.PROVIDER_NETWORK, 0, 99],
        "app_id": [APP, ""],
        "level": [api.LEVEL_NONE, 0, 99],
        "time_zone": ["Europe/Berlin", "x"],
        "weekdays": [1, 8],
    }


async def test_nobody_learns_what_another_has(asked: Any) -> None:
    findings = Findings()
    nowhere = str(UUID(int=99))
    questions = Questions(
        there=values("my-phone-0", MINE, CONVERSATION),
        nowhere=values("no-phone-0", "no-token", nowhere),
        not_found=[],
        same=[("my-phone-0", "no-phone-0"), (MINE, "no-token"), (CONVERSATION, nowhere)],
    )
    for method in SERVICE.methods:
        await ask_both(
            findings,
            "a stranger",
            method,
            questions,
            lambda request, name=method.name: asked(request, name),  # type: ignore[misc]
        )
    findings.assert_none()
    assert len(findings.asked) == len(SERVICE.methods)


async def test_what_a_stranger_asks_leaves_my_settings_and_what_is_shown_to_me(push: Push, asked: Any) -> None:
    before = await push.devices.settings(ME), await push.rows("SELECT * FROM threads WHERE user_id = $1", ME)
    await asked(api.RemoveTokenRequest(device_id="my-phone-0"), "RemoveToken")
    level = api.SetConversationLevelRequest(conversation_id=CONVERSATION, level=api.LEVEL_ALL)
    await asked(level, "SetConversationLevel")
    await asked(api.UpdateNotificationSettingsRequest(), "UpdateNotificationSettings")
    after = await push.devices.settings(ME), await push.rows("SELECT * FROM threads WHERE user_id = $1", ME)
    assert before == after
    assert [row["address"] for row in await push.rows("SELECT address FROM tokens WHERE user_id = $1", ME)] == [MINE]
