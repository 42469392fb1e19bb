"""The body of a Web Push message: RFC 8291, over the content coding of RFC 8188.

The two libraries for it are not used: one has no wheel, and the other brings HTTP clients of its own along.
What stands here is one record and one key, over `cryptography`'s own primitives, and is held against the RFC's vector.
"""

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Push services must take bodies of 4,096 bytes (RFC 8030, section 7.2): of these 86 are the header, 16 the tag, and one
# ends the record.
RECORD_BYTES = 4_096
MAX_BYTES = RECORD_BYTES - 86 - 16 - 1
_LAST_RECORD = b"\x02"


class NotAKey(ValueError):
    """It is no point of the curve."""


def encrypt(plaintext: bytes, p256dh: bytes, auth: bytes, ephemeral: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """The body for the subscription with these keys. `ephemeral` and `salt` (16 bytes) serve this message alone.
    Raises NotAKey."""
    try:
        receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError as error:
        raise NotAKey("p256dh is no point of P-256") from error
    sender = ephemeral.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    shared = ephemeral.exchange(ec.ECDH(), receiver)
    secret = _derive(shared, auth, b"WebPush: info\0" + p256dh + sender, 32)
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(sender)]) + sender
    return header + AESGCM(key).encrypt(nonce, plaintext + _LAST_RECORD, None)


def is_key(p256dh: bytes) -> bool:
    """Whether it is an uncompressed point of P-256."""
    if len(p256dh) != 65 or p256dh[0] != 4:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError:
        return False
    return True


def _derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
