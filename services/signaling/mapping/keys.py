"""Public and sealed keys as protobufs."""

from parley.keys.v1 import messages_pb2 as keys_pb2

from services.signaling.keys.core import Account, CallKey


def encode_account_keys(account: Account) -> keys_pb2.AccountKeys:
    """An account's keys, as it was told to somebody."""
    return keys_pb2.AccountKeys(
        user_id=account.user_id,
        version=account.version,
        account_key=account.account_key,
        devices=[
            keys_pb2.DeviceKeys(
                device_id=device.device_id,
                signing_key=device.signing_key,
                kem_key=device.kem_key,
                signature=device.signature,
                sealed_account_key=device.sealed_account_key,
            )
            for device in account.devices
        ],
    )


def encode_call_key(key: CallKey) -> keys_pb2.CallKey:
    """A sealed key, for the device that can open it."""
    return keys_pb2.CallKey(
        call_id=key.call_id,
        sender_user_id=key.sender_id,
        sender_device_id=key.sender_device_id,
        device_id=key.key.device_id,
        epoch=key.epoch,
        sealed_key=key.key.sealed_key,
    )
