"""The pages of the API: every RPC and message, with what the protos say of it."""

from __future__ import annotations

from deploy.docs import api
from deploy.envoy import descriptors

PAGES = api.pages()


def test_every_package_has_its_page() -> None:
    assert set(PAGES) == {f"{folder.name}.md" for folder in (api.PROTOS / "parley").iterdir() if folder.is_dir()}


def test_every_rpc_and_message_is_there() -> None:
    for file in descriptors.read().file:
        is_public = file.package.startswith("parley.") and ".storage." not in file.package
        page = PAGES.get(f"{file.package.split('.')[1]}.md", "") if is_public else ""
        if page:
            for service in file.service:
                assert all(f"### {service.name}.{method.name}\n" in page for method in service.method)
            assert all(f"### {message.name}\n" in page for message in file.message_type)


def test_what_services_keep_in_columns_is_not_there() -> None:
    assert not any("storage" in page for page in PAGES["messaging.md"].split("`") if page.startswith("protos/"))


def test_a_comment_is_there_as_it_is_written_and_reasons_are_code() -> None:
    page = PAGES["gateway.md"]
    assert "Opens the event stream of one device, until the client or the server ends it." in page
    assert "ABORTED (REPLACED; `DEVICE_LIMIT`:" in page
    assert "\n\nErrors: UNAUTHENTICATED (`TOKEN_MISSING`," in page
    assert "| `device_id` | string | 1 | Chosen by the device once and kept: 8 to 64 of \\[A-Za-z0-9\\_-\\]. |" in page


def test_a_type_of_ours_is_a_link_and_a_map_says_what_it_maps() -> None:
    assert "[DeviceEvent](gateway.md#deviceevent)" in PAGES["gateway.md"]
    assert "map of string to string" in PAGES["messaging.md"]


def test_an_rpc_says_what_it_is_in_json_over_http() -> None:
    assert "As JSON over HTTP: `POST /v1/conversations/{conversation_id}/messages`" in PAGES["messaging.md"]
