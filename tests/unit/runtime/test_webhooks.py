"""Signed webhooks, verified with the library that receivers use, and with the vector of the specification."""

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.runtime.http.webhooks import signed_headers

OLD, NEW = b"o" * 32, b"n" * 32
BODY = json.dumps({"type": "message.sent", "data": {"text": "ärger ☃"}}, ensure_ascii=False).encode()


def now_s() -> int:
    """The library goes by the host's clock, and believes five minutes: as long as it may be since this was imported."""
    return int(datetime.now(UTC).timestamp())


def test_the_vector_of_the_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    webhook_id, at_s, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    headers = signed_headers([secret], webhook_id, at_s, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (webhook_id, str(at_s))


@pytest.mark.parametrize("known", [OLD, NEW])
def test_while_a_secret_is_changed_a_receiver_with_either_believes(known: bytes) -> None:
    headers = signed_headers([NEW, OLD], "id", now_s(), BODY)
    assert Webhook(known).verify(BODY, headers) == json.loads(BODY)


def test_another_body_id_or_time_is_not_believed() -> None:
    at_s = now_s()
    headers = signed_headers([NEW], "id", at_s, BODY)
    assert Webhook(NEW).verify(BODY, headers)
    for changed in ({"webhook-id": "other"}, {"webhook-timestamp": str(at_s - 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(NEW).verify(BODY, headers | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY + b" ", headers)


def test_a_secret_of_a_file_is_the_same_as_its_bytes() -> None:
    written = "whsec_" + base64.b64encode(NEW).decode()
    assert signed_headers([written], "id", 7, BODY) == signed_headers([NEW], "id", 7, BODY)
