"""Every RPC that a user can call has a row, and honest use fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from deploy.documents import read_yaml
from deploy.envoy.render import render
from deploy.envoy.validate import variants
from services.runtime.config import UserLimitsConfig
from services.runtime.limits.costs import COSTS
from tests.support.client_rpcs import INTERNAL, client_rpcs, services

RPCS = client_rpcs()


def request_of(rpc: str, entries: int = 0) -> Any:
    """A request whose repeated fields have so many entries."""
    request = GetMessageClass(RPCS[rpc].input_type)()
    for field in RPCS[rpc].input_type.fields:
        if field.is_repeated and field.message_type is None:
            getattr(request, field.name).extend(["x" if field.type == field.TYPE_STRING else 1] * entries)
        elif field.is_repeated and not field.message_type.GetOptions().map_entry:
            for _ in range(entries):
                getattr(request, field.name).add()
    return request


def test_every_rpc_of_users_has_a_row_and_no_row_is_of_another() -> None:
    assert set(COSTS) == set(RPCS)


def test_what_the_edge_routes_is_what_users_call() -> None:
    document = read_yaml(render(variants(Path("a"), Path("b"))["embedded"], Path("/etc")))
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routed = {
        (route["match"].get("path") or route["match"]["prefix"]).split("/")[1]
        for route in manager["route_config"]["virtual_hosts"][0]["routes"]
        if route.get("route", {}).get("cluster") in ("messaging", "gateway", "signaling", "push", "previews")
    }
    assert routed == {service.full_name for service in services()} - INTERNAL


@pytest.mark.parametrize("rpc", RPCS)
def test_no_rpc_is_free_and_none_costs_more_than_a_burst(rpc: str) -> None:
    cost = COSTS[rpc]
    assert 0 < cost.of(request_of(rpc)) <= UserLimitsConfig().burst_units
    assert not cost.field or cost.of(request_of(rpc, 100)) > cost.of(request_of(rpc))


@pytest.mark.parametrize(
    "rpc", ["MessagingService/AddMembers", "MessagingService/CreateGroup", "MessagingService/Sync"]
)
def test_who_asks_for_more_pays_more(rpc: str) -> None:
    cost, name = COSTS[f"parley.messaging.v1.{rpc}"], f"parley.messaging.v1.{rpc}"
    assert cost.of(request_of(name, 500)) >= cost.of(request_of(name)) + 5


def test_a_device_that_logs_in_with_a_large_account_has_the_units_for_it() -> None:
    name = "parley.messaging.v1.MessagingService"
    pages = 50_000 / 50 * COSTS[f"{name}/ListConversations"].of(None)
    by_cursor = 50 * COSTS[f"{name}/Sync"].of(request_of(f"{name}/Sync", 1_000))
    by_page = 50_000 / 100 * COSTS[f"{name}/Sync"].of(request_of(f"{name}/Sync"))
    assert pages + by_cursor + by_page <= UserLimitsConfig().burst_units
