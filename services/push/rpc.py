"""NotificationsService and NotificationsAdminService."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from parley.notifications.v1 import admin_pb2, admin_pb2_grpc, service_pb2_grpc
from parley.notifications.v1 import service_pb2 as api

from services.push.core.addresses import is_push_service
from services.push.core.errors import ProviderNotServed, TooManyConversations
from services.push.core.model import ConversationId, DeviceId, Level, Provider, Settings, Token, TokenId, UserId
from services.push.encryption import is_key
from services.push.providers import Providers
from services.push.service import Devices, Operating
from services.runtime.device_ids import DEVICE_ID_RULE, is_device_id
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.auth import current_token, current_user
from services.runtime.quiet_hours import QuietHours, find_fault

ERRORS: ErrorTable = {
    ProviderNotServed: Refusal(grpc.StatusCode.FAILED_PRECONDITION, "PROVIDER_NOT_SERVED"),
    TooManyConversations: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CONVERSATIONS"),
}
MAX_TOKEN_CHARS = 1_024
AUTH_BYTES = 16
MAX_LISTED, LISTED = 1_000, 20
# In a path of Apple's, so nothing else may be in it.
_APNS_TOKEN = re.compile(r"[0-9A-Fa-f]{1,200}\Z")

PROVIDERS: Mapping[Provider, "api.Provider.ValueType"] = {
    Provider.APNS: api.PROVIDER_APNS,
    Provider.APNS_VOIP: api.PROVIDER_APNS_VOIP,
    Provider.FCM: api.PROVIDER_FCM,
    Provider.WEB_PUSH: api.PROVIDER_WEB_PUSH,
    Provider.NETWORK: api.PROVIDER_NETWORK,
}
LEVELS: Mapping[Level, "api.Level.ValueType"] = {
    Level.ALL: api.LEVEL_ALL,
    Level.MENTIONS: api.LEVEL_MENTIONS,
    Level.NONE: api.LEVEL_NONE,
}
_PROVIDERS_BACK: Mapping[int, Provider] = {value: provider for provider, value in PROVIDERS.items()}
_LEVELS_BACK: Mapping[int, Level] = {value: level for level, value in LEVELS.items()}


def apis(
    devices: Devices,
    operating: Operating,
    providers: Callable[[], Providers],
    new_token_id: Callable[[], TokenId],
) -> list[Api]:
    """What the server serves."""
    users = NotificationsServicer(devices, providers, new_token_id)
    operators = AdminServicer(operating)
    return [
        Api(
            "parley.notifications.v1.NotificationsService",
            Access.USER,
            lambda server: service_pb2_grpc.add_NotificationsServiceServicer_to_server(users, server),
        ),
        Api(
            "parley.notifications.v1.NotificationsAdminService",
            Access.ADMIN,
            lambda server: admin_pb2_grpc.add_NotificationsAdminServiceServicer_to_server(operators, server),
        ),
    ]


class NotificationsServicer(service_pb2_grpc.NotificationsServiceServicer):
    """Checks the form of requests and translates; the use-cases stand in service.py."""

    def __init__(
        self, devices: Devices, providers: Callable[[], Providers], new_token_id: Callable[[], TokenId]
    ) -> None:
        self._devices = devices
        self._providers = providers
        self._new_token_id = new_token_id

    async def RegisterToken(self, request: api.RegisterTokenRequest, context: Context) -> api.RegisterTokenResponse:
        token = self._token(request)
        await self._devices.register(token)
        return api.RegisterTokenResponse()

    async def RemoveToken(self, request: api.RemoveTokenRequest, context: Context) -> api.RemoveTokenResponse:
        provider = _provider(request.provider) if request.provider else None
        await self._devices.remove(_me(), _device_id(request.device_id), provider)
        return api.RemoveTokenResponse()

    async def GetNotificationSettings(
        self, request: api.GetNotificationSettingsRequest, context: Context
    ) -> api.GetNotificationSettingsResponse:
        settings = await self._devices.settings(_me())
        web_push = self._providers().web_push
        return api.GetNotificationSettingsResponse(
            settings=settings_message(settings),
            conversation_levels=[
                api.ConversationLevel(conversation_id=conversation_id, level=LEVELS[level])
                for conversation_id, level in settings.conversations.items()
            ],
            providers=[PROVIDERS[provider] for provider in self._devices.providers()],
            web_push_public_key=web_push.public_key if web_push else b"",
        )

    async def UpdateNotificationSettings(
        self, request: api.UpdateNotificationSettingsRequest, context: Context
    ) -> api.UpdateNotificationSettingsResponse:
        settings = await self._devices.update_settings(_me(), _settings(request.settings))
        return api.UpdateNotificationSettingsResponse(settings=settings_message(settings))

    async def SetConversationLevel(
        self, request: api.SetConversationLevelRequest, context: Context
    ) -> api.SetConversationLevelResponse:
        level = _level(request.level) if request.level else None
        await self._devices.set_level(_me(), _conversation_id(request.conversation_id), level)
        return api.SetConversationLevelResponse()

    def _token(self, request: api.RegisterTokenRequest) -> Token:
        device_id, provider = _device_id(request.device_id), _provider(request.provider)
        address = request.token
        if not (1 <= len(address) <= MAX_TOKEN_CHARS and address.isascii() and address.isprintable()):
            raise InvalidRequest("token", f"must be 1 to {MAX_TOKEN_CHARS} printable ASCII characters")
        token = Token(self._new_token_id(), _me(), device_id, provider, address)
        match provider:
            case Provider.APNS | Provider.APNS_VOIP:
                return self._apns_token(request, token)
            case Provider.WEB_PUSH:
                return self._subscription(request, token)
            case _:
                return token

    def _apns_token(self, request: api.RegisterTokenRequest, token: Token) -> Token:
        if not _APNS_TOKEN.match(token.address):
            raise InvalidRequest("token", "must be hexadecimal")
        apns = self._providers().apns
        if apns and request.app_id not in apns.apps:
            raise InvalidRequest("app_id", "is none of the apps that this installation sends for")
        return replace(token, app=request.app_id)

    def _subscription(self, request: api.RegisterTokenRequest, token: Token) -> Token:
        web_push = self._providers().web_push
        if web_push and not is_push_service(token.address, web_push.hosts):
            raise InvalidRequest("token", "is not an https address of a push service that this installation knows")
        keys = request.web_push_keys
        if not is_key(keys.p256dh):
            raise InvalidRequest("web_push_keys.p256dh", "must be an uncompressed point of P-256, 65 bytes")
        if len(keys.auth) != AUTH_BYTES:
            raise InvalidRequest("web_push_keys.auth", f"must be {AUTH_BYTES} bytes")
        return replace(token, p256dh=keys.p256dh, auth=keys.auth)


class AdminServicer(admin_pb2_grpc.NotificationsAdminServiceServicer):
    """See the protos."""

    def __init__(self, operating: Operating) -> None:
        self._operating = operating

    async def ListDeadLetters(
        self, request: admin_pb2.ListDeadLettersRequest, context: Context
    ) -> admin_pb2.ListDeadLettersResponse:
        if not 0 <= request.limit <= MAX_LISTED:
            raise InvalidRequest("limit", f"is not 0 to {MAX_LISTED}")
        provider = _provider(request.provider) if request.provider else None
        return admin_pb2.ListDeadLettersResponse(
            dead_letters=[
                admin_pb2.DeadLetter(
                    provider=PROVIDERS[letter.provider],
                    user_id=letter.user_id,
                    device_id=letter.device_id,
                    give_up_time=_stamp(letter.give_up_time),
                    attempts=letter.attempts,
                    last_status=letter.last_status,
                )
                for letter in await self._operating.dead_letters(provider, request.limit or LISTED)
            ]
        )

    async def ReplayDeadLetters(
        self, request: admin_pb2.ReplayDeadLettersRequest, context: Context
    ) -> admin_pb2.ReplayDeadLettersResponse:
        provider = _provider(request.provider) if request.provider else None
        return admin_pb2.ReplayDeadLettersResponse(replayed=await self._operating.replay(provider))


def settings_message(settings: Settings) -> api.NotificationSettings:
    """The API's form."""
    hours = settings.quiet_hours
    return api.NotificationSettings(
        level=LEVELS[settings.level],
        previews_off=not settings.previews,
        quiet_hours=api.NotificationQuietHours(
            start_minute=hours.start_minute,
            end_minute=hours.end_minute,
            time_zone=hours.time_zone,
            weekdays=hours.weekdays,
        )
        if hours
        else None,
    )


def _settings(message: api.NotificationSettings) -> Settings:
    return Settings(
        _level(message.level) if message.level else Level.ALL,
        previews=not message.previews_off,
        quiet_hours=_quiet_hours(message.quiet_hours) if message.HasField("quiet_hours") else None,
    )


def _quiet_hours(message: api.NotificationQuietHours) -> QuietHours:
    weekdays = tuple(sorted(set(message.weekdays)))
    hours = QuietHours(message.start_minute, message.end_minute, message.time_zone, weekdays)
    if fault := find_fault(hours):
        field, why = fault
        raise InvalidRequest(f"settings.quiet_hours.{field}", why)
    return hours


def _me() -> UserId:
    return UserId(current_user())


def _device_id(value: str) -> DeviceId:
    if not is_device_id(value):
        raise InvalidRequest("device_id", DEVICE_ID_RULE)
    current_token().require_device(value)
    return DeviceId(value)


def _provider(value: int) -> Provider:
    provider = _PROVIDERS_BACK.get(value)
    if provider is None:
        raise InvalidRequest("provider", "is not known")
    return provider


def _level(value: int) -> Level:
    level = _LEVELS_BACK.get(value)
    if level is None:
        raise InvalidRequest("level", "is not known")
    return level


def _conversation_id(value: str) -> ConversationId:
    try:
        parsed = UUID(value)
    except ValueError:
        parsed = None
    if parsed is None or len(value) != 36:
        raise InvalidRequest("conversation_id", "must be a UUID")
    return ConversationId(str(parsed))


def _stamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
