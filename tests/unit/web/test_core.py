"""Which file answers which request."""

from __future__ import annotations

import pytest

from services.web.core import Asset, asset_for, content_security_policy, make_asset, security_headers

FILES = (
    *("/index.html", "/playground.html", "/assets/app-1f2e.js", "/favicon.svg"),
    *("/service-worker.js", "/manifest.webmanifest"),
)
ASSETS: dict[str, Asset] = {path: make_asset(path, path.encode()) for path in FILES}


@pytest.mark.parametrize("path", FILES)
def test_file_of_the_build_is_served_as_it_is(path: str) -> None:
    asset = asset_for(ASSETS, path)
    assert asset is not None
    assert asset.body == path.encode()


@pytest.mark.parametrize("path", ["/", "/conversations/0192", "/login"])
def test_page_of_the_client_gets_the_client(path: str) -> None:
    assert asset_for(ASSETS, path) == ASSETS["/index.html"]


def test_page_of_a_name_is_had_by_it() -> None:
    assert asset_for(ASSETS, "/playground") == ASSETS["/playground.html"]


@pytest.mark.parametrize("path", ["/gone.js", "/assets/gone", "/assets/../secret.txt", "/../pyproject.toml"])
def test_file_that_is_not_in_the_build_is_not_found(path: str) -> None:
    assert asset_for(ASSETS, path) is None


def test_only_files_whose_name_holds_their_hash_are_kept_for_ever() -> None:
    assert "immutable" in ASSETS["/assets/app-1f2e.js"].cache_control
    assert ASSETS["/index.html"].cache_control == "no-cache"
    assert ASSETS["/favicon.svg"].cache_control == "no-cache"
    # A worker that is kept would be the one for good.
    assert ASSETS["/service-worker.js"].cache_control == "no-cache"


def test_script_has_the_type_that_nosniff_asks_for() -> None:
    assert ASSETS["/assets/app-1f2e.js"].content_type.startswith("text/javascript")
    assert ASSETS["/service-worker.js"].content_type.startswith("text/javascript")
    assert ASSETS["/manifest.webmanifest"].content_type == "application/manifest+json"


def test_other_content_has_another_tag() -> None:
    assert make_asset("/a.js", b"1").etag != make_asset("/a.js", b"2").etag


def test_policy_allows_no_inline_script() -> None:
    assert "unsafe" not in content_security_policy("", ())
    assert "default-src 'self'" in content_security_policy("", ())


def test_policy_lets_the_page_reach_its_own_origin_and_the_attachments_only() -> None:
    assert "connect-src 'self';" in content_security_policy("", ())
    assert "connect-src 'self' https://files.example;" in content_security_policy("https://files.example", ())


def test_policy_lets_pictures_alone_come_from_the_hosts_of_stickers() -> None:
    policy = content_security_policy("", ("media.example", "stickers.example")).split("; ")
    assert "img-src 'self' blob: data: https://media.example https://stickers.example" in policy
    assert [part for part in policy if "stickers.example" in part] == [part for part in policy if "img-src" in part]


def test_no_string_becomes_html_or_code() -> None:
    policy = content_security_policy("https://files.example", ()).split("; ")
    assert "require-trusted-types-for 'script'" in policy
    assert "trusted-types default" in policy


def test_no_other_origin_takes_our_files_in_and_the_page_alone_may_use_the_camera() -> None:
    headers = security_headers("", ())
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "camera=(self), microphone=(self)" in headers["Permissions-Policy"]
