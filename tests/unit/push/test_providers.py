"""The file of providers: what it may say, and that a fault names no key."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from deploy import push_keys
from services.push.core.model import Provider
from services.push.providers import APNS_URL, FCM_URL, Providers, parse
from tests.support.push_providers.network import SECRET
from tests.support.push_providers.provider import pem_of

P256, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
APNS = {"key_id": "K", "team_id": "T", "private_key": pem_of(P256), "apps": ["com.example"]}
FCM = {"type": "service_account", "project_id": "p", "client_email": "a@b", "private_key": pem_of(RSA)}
NETWORK = {"url": "https://push.example.com/hooks/", "secrets": [SECRET]}


def read(**parts: Any) -> Providers:
    return parse(json.dumps(parts).encode())


def test_what_is_there_is_served() -> None:
    web = push_keys.web_push_of("mailto:a@example.com")
    found = read(apns=APNS, fcm=FCM, network=NETWORK, **web)
    assert found.served == set(Provider)
    assert found.apns
    assert found.fcm
    assert found.network
    assert found.web_push
    assert (found.apns.url, found.fcm.url) == (APNS_URL, FCM_URL)
    assert found.fcm.token_url == "https://oauth2.googleapis.com/token"
    assert found.network.url == "https://push.example.com/hooks"
    assert len(found.web_push.public_key) == 65
    assert read().served == frozenset()
    assert read(apns=APNS).served == {Provider.APNS, Provider.APNS_VOIP}


def test_each_key_of_web_push_is_new() -> None:
    assert push_keys.web_push_of("mailto:a@b") != push_keys.web_push_of("mailto:a@b")


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"apns": []}, "apns is not an object"),
        ({"apns": APNS | {"private_key": pem_of(RSA)}}, "apns: private_key is not a P-256 key"),
        ({"apns": APNS | {"private_key": "no"}}, "private_key is not a private key in PEM"),
        ({"apns": APNS | {"apps": []}}, "apps is not a list"),
        ({"apns": APNS | {"apps": "com.example"}}, "apps is not a list"),
        ({"apns": APNS | {"topic": "x"}}, "apns has no field topic"),
        ({"apns": APNS | {"url": "ftp://x"}}, "url is not an http"),
        ({"apns": {key: value for key, value in APNS.items() if key != "team_id"}}, "team_id is not a text"),
        ({"fcm": FCM | {"private_key": pem_of(P256)}}, "private_key is not an RSA key"),
        ({"fcm": FCM | {"project_id": 7}}, "project_id is not a text"),
        ({"fcm": FCM | {"private_key": pem_of(ed25519.Ed25519PrivateKey.generate())}}, "not an RSA key"),
        ({"web_push": {"private_key": "AAAA", "subject": "mailto:a@b"}}, "web_push: private_key"),
        ({"web_push": {"private_key": "A" * 43, "subject": "mailto:a@b"}}, "web_push: private_key"),
        ({"web_push": push_keys.web_push_of("a@b")["web_push"]}, "subject is not"),
        ({"network": NETWORK | {"secrets": [SECRET.removeprefix("whsec_")]}}, "network: secrets"),
        ({"network": NETWORK | {"secrets": ["whsec_" + base64.b64encode(b"short").decode()]}}, "network: secrets"),
        ({"network": NETWORK | {"url": "push.example.com"}}, "network: url"),
        ({"other": {}}, "it is not an object with apns, fcm, web_push, network"),
    ],
)
def test_faults_are_named(parts: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as raised:
        read(**parts)
    assert "PRIVATE KEY" not in str(raised.value)
    assert SECRET[6:] not in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"apns": null}'])
def test_what_is_no_such_file(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is not|is not an object"):
        parse(data)
