"""DeviceKeysService over gRPC: checks the form of requests, and translates."""

from collections.abc import Sequence
from datetime import datetime

from parley.keys.v1 import service_pb2 as api
from parley.keys.v1 import service_pb2_grpc

from services.runtime.clock import Clock
from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.signaling.core.model import ConversationId, DeviceId, UserId
from services.signaling.keys.core import Account, Device, SealedKey
from services.signaling.keys.service import DeviceKeys
from services.signaling.mapping.keys import encode_account_keys, encode_call_key
from services.signaling.requests import call_id_of, check_device_id, check_user_id, check_uuid, me, own_device_id

# A P-256 point, uncompressed (SEC 1, section 2.3.3), and an ECDSA signature over it (r and s).
POINT_BYTES, POINT_FORM = 65, 4
SIGNATURE_BYTES = 64
# An HPKE sender's point, and what is sealed with its tag and signature. Raising them lets clients store more with us.
MAX_SEALED_KEY_BYTES = 256
MAX_SEALED_ACCOUNT_KEY_BYTES = 512
# As many as can be in a call, and room for more. Raising it makes larger answers and transactions.
MAX_PEOPLE = 64


def api_of(keys: DeviceKeys, clock: Clock) -> Api:
    """What the server serves."""
    servicer = DeviceKeysServicer(keys, clock)
    return Api(
        "parley.keys.v1.DeviceKeysService",
        Access.USER,
        lambda server: service_pb2_grpc.add_DeviceKeysServiceServicer_to_server(servicer, server),
    )


class DeviceKeysServicer(service_pb2_grpc.DeviceKeysServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, keys: DeviceKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def PublishDeviceKeys(
        self, request: api.PublishDeviceKeysRequest, context: Context
    ) -> api.PublishDeviceKeysResponse:
        device = _device(
            own_device_id(request.device_id), request, self._clock.now(), is_signed=bool(request.signature)
        )
        account_key = _point("account_key", request.account_key)
        account = await self._keys.publish(me(), _version(request.version), account_key, device)
        return api.PublishDeviceKeysResponse(keys=encode_account_keys(account))

    async def ConfirmDevice(self, request: api.ConfirmDeviceRequest, context: Context) -> api.ConfirmDeviceResponse:
        device = _device(check_device_id(request.device_id), request, self._clock.now(), is_signed=True)
        account = await self._keys.confirm(me(), _version(request.version), device)
        return api.ConfirmDeviceResponse(keys=encode_account_keys(account))

    async def RemoveDeviceKeys(
        self, request: api.RemoveDeviceKeysRequest, context: Context
    ) -> api.RemoveDeviceKeysResponse:
        await self._keys.remove(me(), [check_device_id(request.device_id)])
        return api.RemoveDeviceKeysResponse()

    async def ListDeviceKeys(self, request: api.ListDeviceKeysRequest, context: Context) -> api.ListDeviceKeysResponse:
        if len(request.user_ids) > MAX_PEOPLE:
            raise InvalidRequest("user_ids", f"has more than {MAX_PEOPLE}")
        user_ids = [check_user_id(user_id, "user_ids") for user_id in request.user_ids]
        accounts = await self._find(request, user_ids)
        return api.ListDeviceKeysResponse(accounts=[encode_account_keys(account) for account in accounts])

    async def SendCallKeys(self, request: api.SendCallKeysRequest, context: Context) -> api.SendCallKeysResponse:
        device_id, call_id = own_device_id(request.device_id), call_id_of(request.call_id)
        if len(request.keys) > MAX_PEOPLE:
            raise InvalidRequest("keys", f"has more than {MAX_PEOPLE}")
        keys = [
            SealedKey(
                check_user_id(key.user_id),
                check_device_id(key.device_id),
                _sealed("sealed_key", key.sealed_key, MAX_SEALED_KEY_BYTES),
            )
            for key in request.keys
        ]
        await self._keys.send(me(), device_id, call_id, request.epoch, keys)
        return api.SendCallKeysResponse()

    async def ListCallKeys(self, request: api.ListCallKeysRequest, context: Context) -> api.ListCallKeysResponse:
        device_id = own_device_id(request.device_id)
        keys = await self._keys.list_for(me(), device_id, call_id_of(request.call_id))
        return api.ListCallKeysResponse(keys=[encode_call_key(key) for key in keys])

    async def _find(self, request: api.ListDeviceKeysRequest, user_ids: Sequence[UserId]) -> Sequence[Account]:
        shared = request.WhichOneof("shared")
        if shared == "call_id":
            return await self._keys.of_call(me(), call_id_of(request.call_id), user_ids)
        if shared == "conversation_id":
            conversation_id = ConversationId(check_uuid("conversation_id", request.conversation_id))
            return await self._keys.of_conversation(me(), conversation_id, user_ids)
        return await self._keys.of_own(me(), user_ids)


def _device(
    device_id: DeviceId,
    request: api.PublishDeviceKeysRequest | api.ConfirmDeviceRequest,
    now: datetime,
    *,
    is_signed: bool,
) -> Device:
    signing_key, kem_key = _point("signing_key", request.signing_key), _point("kem_key", request.kem_key)
    if not is_signed:
        if request.sealed_account_key:
            raise InvalidRequest("sealed_account_key", "comes with a signature only")
        return Device(device_id, signing_key, kem_key, now)
    if len(request.signature) != SIGNATURE_BYTES:
        raise InvalidRequest("signature", f"is not of {SIGNATURE_BYTES} bytes")
    sealed = _sealed("sealed_account_key", request.sealed_account_key, MAX_SEALED_ACCOUNT_KEY_BYTES)
    return Device(device_id, signing_key, kem_key, now, request.signature, sealed)


def _point(field: str, value: bytes) -> bytes:
    if len(value) != POINT_BYTES or value[0] != POINT_FORM:
        raise InvalidRequest(field, f"is no uncompressed point of {POINT_BYTES} bytes")
    return value


def _sealed(field: str, value: bytes, most: int) -> bytes:
    if not 0 < len(value) <= most:
        raise InvalidRequest(field, f"is not of 1 to {most} bytes")
    return value


def _version(value: int) -> int:
    if value < 1:
        raise InvalidRequest("version", "is below 1")
    return value
