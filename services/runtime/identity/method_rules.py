"""A table that says what each method of some gRPC services takes of its caller: a role, a scope. What has no row is
nobody's."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf import descriptor_pool


@dataclass(frozen=True)
class Rule:
    """What a method takes. One that `changes` something runs only when its audit row was written."""

    takes: str
    changes: bool


# gRPC service (full name) → method → rule.
Table = Mapping[str, Mapping[str, Rule]]


def reads(takes: str) -> Rule:
    """Of a method that changes nothing."""
    return Rule(takes, changes=False)


def changes(takes: str) -> Rule:
    """Of a method that changes something."""
    return Rule(takes, changes=True)


def may_call(table: Table, held: Iterable[str], service: str, method: str) -> bool:
    """Whether one of what the caller holds has the method."""
    rule = table.get(service, {}).get(method)
    return rule is not None and rule.takes in frozenset(held)


def is_change(table: Table, service: str, method: str) -> bool:
    """Whether the method changes something; what has no row is taken for one that does."""
    rule = table.get(service, {}).get(method)
    return rule is None or rule.changes


def require_rows(table: Table, what: str, services: Iterable[str]) -> None:
    """Raises RuntimeError for a service of which a method has no row, a row no method, or one streams."""
    for name in services:
        methods = descriptor_pool.Default().FindServiceByName(name).methods
        if {method.name for method in methods} != set(table.get(name, {})):
            raise RuntimeError(f"the table of {what} does not fit {name}")
        if any(method.client_streaming or method.server_streaming for method in methods):
            raise RuntimeError(f"{name} has a stream, of which there would be no audit record")
