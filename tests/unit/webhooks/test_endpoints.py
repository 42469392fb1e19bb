"""The file of endpoints: what is taken, what is refused, and that a refusal quotes no secret."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.core.endpoints import MAX_ENDPOINTS, by_name, parse
from services.webhooks.core.model import ConversationKind
from services.webhooks.mapping import TYPES

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
ROW: dict[str, Any] = {"name": "bots", "url": "https://example.org/hook", "secrets": [SECRET], "events": ["message.*"]}


def parsed(*rows: Any) -> Any:
    return parse(json.dumps({"endpoints": list(rows)}).encode(), TYPES)


def test_the_least_that_an_endpoint_needs() -> None:
    (endpoint,) = parsed(ROW)
    assert (endpoint.name, endpoint.url, endpoint.secrets) == ("bots", "https://example.org/hook", (SECRET,))
    assert endpoint.events == ("message.*",)
    assert (endpoint.conversations, endpoint.contents, endpoint.parallel) == (None, False, 8)


def test_everything_that_an_endpoint_may_say() -> None:
    (endpoint,) = parsed({**ROW, "conversations": "group", "contents": True, "parallel": 1, "events": ["*"]})
    assert endpoint.conversations is ConversationKind.GROUP
    assert endpoint.contents
    assert endpoint.parallel == 1


def test_a_file_without_endpoints_is_right() -> None:
    assert parsed() == ()
    assert by_name(()) == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Bots"},
        {"name": ""},
        {"url": "ftp://example.org"},
        {"url": "https://user:password@example.org/"},
        {"url": "https://"},
        {"url": "https://example.org:port/"},
        {"url": " https://example.org"},
        {"url": "https://example.org/\r\nparley: yes"},
        {"url": "https://exam ple.org/"},
        {"url": "https://[::1/"},
        {"secrets": []},
        {"secrets": ["whsec_c2hvcnQ="]},
        {"secrets": [SECRET.removeprefix("whsec_")]},
        {"secrets": SECRET},
        {"events": []},
        {"events": ["mesage.sent"]},
        {"events": ["mesage.*"]},
        {"events": ["message.s*"]},
        {"conversations": "all"},
        {"contents": "yes"},
        {"parallel": 0},
        {"parallel": True},
        {"retries": 3},
    ],
)
def test_what_is_wrong_is_named_without_a_secret(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))) as refused:
        parsed({**ROW, **changed})
    assert "c2" not in str(refused.value)


def test_a_file_that_is_nested_without_end_is_refused_as_any_other() -> None:
    with pytest.raises(ValueError, match="nested"):
        parse(b"[" * 100_000, TYPES)


@pytest.mark.parametrize("missing", ["name", "url", "secrets", "events"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        parsed({name: value for name, value in ROW.items() if name != missing})


def test_two_endpoints_of_one_name_and_too_many_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        parsed(ROW, ROW)
    with pytest.raises(ValueError, match="more than"):
        parsed(*({**ROW, "name": f"n{number}"} for number in range(MAX_ENDPOINTS + 1)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "endpoints"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_configuration_or_a_value_error(document: Any) -> None:
    for data in (document, {"endpoints": [document]}, {"endpoints": [{**ROW, "url": document, "name": document}]}):
        try:
            parse(json.dumps(data).encode(), TYPES)
        except ValueError:
            continue
