"""The page of all variables: each is there, with what it means."""

from __future__ import annotations

import pytest

from deploy.docs import configuration
from deploy.docs.configuration import SERVICES
from deploy.docs.variables import Variable, asked_by, edge_variables, variables

RUNTIME = variables("services.runtime.config")
OWN = {service: variables(f"services.{service}.config") for service in SERVICES}
EVERY = [*RUNTIME, *(variable for own in OWN.values() for variable in own), *edge_variables()]


@pytest.mark.parametrize("variable", EVERY, ids=lambda variable: variable.name)
def test_each_variable_says_what_it_means(variable: Variable) -> None:
    assert variable.text


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_asks_for_when_it_starts_is_on_the_page(service: str) -> None:
    known = {variable.name for variable in (*RUNTIME, *OWN[service])}
    assert asked_by(service) <= known
    assert {variable.name for variable in OWN[service]} <= asked_by(service)


def variable(name: str) -> Variable:
    return next(found for found in EVERY if found.name == name)


def test_defaults_bounds_and_units_are_those_of_the_source() -> None:
    devices = variable("PARLEY_MAX_DEVICES")
    assert (devices.default, devices.bounds, devices.unit) == ("`20000`", "`1` to `1000000`", "")
    assert variable("PARLEY_DEVICE_QUEUE_BYTES").default == f"`{1 << 20}`"
    assert variable("PARLEY_OFFLINE_DELAY_S").unit == "s"
    assert variable("PARLEY_DATABASE_URL").default == "required"
    assert variable("PARLEY_SFU_TCP_ADDRESS").default == "as `PARLEY_SFU_UDP_ADDRESS`"
    assert variable("PARLEY_LOG_FORMAT").bounds == "json, console"
    assert variable("PARLEY_EDGE_GATEWAY").default == "required"


def test_what_is_filled_elsewhere_is_described_there() -> None:
    assert variable("PARLEY_RING_TIMEOUT_S").text.startswith(
        "How long a call rings. Raising it lets callers hear the tone longer"
    )


def test_the_common_tables_name_the_services_that_read_them() -> None:
    row = next(line for line in configuration.page().splitlines() if line.startswith("| `PARLEY_DATABASE_POOL_SIZE`"))
    assert row.endswith("| messaging, presence, signaling, webhooks, push |")
