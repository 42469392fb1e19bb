"""Where notices may be posted to: a device names the endpoint of its subscription."""

from __future__ import annotations

import pytest

from services.push.core.addresses import PUSH_SERVICES, is_base_url, is_push_service, origin


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://fcm.googleapis.com:443/fcm/send/abc",
        "https://FCM.googleapis.com/fcm/send/abc",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
        "https://web.push.apple.com/QGu",
        "https://wns2-by3p.notify.windows.com/w/?token=x",
    ],
)
def test_push_services_of_the_browsers(url: str) -> None:
    assert is_push_service(url, PUSH_SERVICES)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://fcm.googleapis.com/fcm/send/abc",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com@127.0.0.1/x",
        "https://fcm.googleapis.com:x@127.0.0.1/x",
        "https://127.0.0.1/fcm.googleapis.com",
        "https://evil.example.com/?fcm.googleapis.com",
        "https://fcm.googleapis.com.evil.example.com/x",
        "https://evilfcm.googleapis.com/x",
        "https://push.apple.com/x",
        "https://evilpush.apple.com/x",
        "https://127.0.0.1\\.push.apple.com/x",
        "https://web.push.apple.com/x#y",
        "https://web.push.apple.com/x y",
        "https://web.push.apple.com/\r\nx",
        "https://web.push.apple.com:port/x",
        "https://[::1/x",
        "//fcm.googleapis.com/x",
        "https://fcm。googleapis.com/x",
    ],
)
def test_anywhere_else(url: str) -> None:
    assert not is_push_service(url, PUSH_SERVICES)


def test_a_host_with_a_port_of_its_own() -> None:
    assert is_push_service("https://localhost:4433/x", ["localhost:4433"])
    assert not is_push_service("https://localhost/x", ["localhost:4433"])
    assert origin("https://localhost:4433/x?y") == "https://localhost:4433"


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("https://api.push.apple.com", True),
        ("http://127.0.0.1:8080/hooks", True),
        ("ftp://a.example.com", False),
        ("https://user@a.example.com", False),
        ("https://a.example.com/?q", False),
        ("https://", False),
        ("https://a.example.com:0", False),
        ("https://a.example.com/a b", False),
    ],
)
def test_addresses_of_providers(url: str, *, is_one: bool) -> None:
    assert is_base_url(url) is is_one
