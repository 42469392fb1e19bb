"""Which hook is configured, and what is wrong with a configuration."""

from __future__ import annotations

import base64

import pytest

from services.messaging.config import Config
from services.messaging.hooks.clients import GrpcHook, HttpHook
from services.messaging.hooks.wiring import message_hook
from services.runtime.env import ConfigError
from tests.support.clock import ManualClock
from tests.support.environments import MESSAGING
from tests.support.identities import tokens_of

KEY = base64.b64encode(b"k" * 32).decode()


def hook_of(**changed: str) -> GrpcHook | HttpHook | None:
    return message_hook(Config.from_env({**MESSAGING, **changed}), ManualClock(), tokens_of("messaging"))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("grpc://hook.example:9000", GrpcHook),
        ("grpcs://hook.example:443", GrpcHook),
        ("http://hook.example/judge", HttpHook),
        ("https://hook.example/judge", HttpHook),
    ],
)
def test_the_scheme_says_how_the_hook_is_asked(url: str, kind: type) -> None:
    assert isinstance(hook_of(PARLEY_HOOK_URL=url, PARLEY_HOOK_SECRET=KEY), kind)


def test_without_an_address_nobody_is_asked() -> None:
    assert hook_of() is None


@pytest.mark.parametrize(
    "changed",
    [
        {"PARLEY_HOOK_URL": "hook.example"},
        {"PARLEY_HOOK_URL": "grpc://hook.example"},
        {"PARLEY_HOOK_URL": "grpc://hook.example/path"},
        {"PARLEY_HOOK_URL": "http://"},
        {"PARLEY_HOOK_URL": "ftp://hook.example"},
        {"PARLEY_HOOK_URL": "https://hook.example"},
        {"PARLEY_HOOK_URL": "https://hook.example", "PARLEY_HOOK_SECRET": "short"},
        {"PARLEY_HOOK_DIRECT": "maybe"},
        {"PARLEY_HOOK_TIMEOUT_MS": "0"},
        {"PARLEY_HOOK_SERVERS": "some"},
        {"PARLEY_HOOK_PREVIEWS": "some"},
    ],
)
def test_a_configuration_that_makes_no_hook_ends_the_start(changed: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_env({**MESSAGING, **changed})
    assert all(problem.startswith("PARLEY_HOOK_") for problem in refused.value.problems)
    assert all(KEY not in problem for problem in refused.value.problems)
