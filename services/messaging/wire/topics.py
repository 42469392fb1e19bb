"""The Kafka topics that messaging touches; what is in them stands in the protos."""

EVENTS = "messaging.events.v1"
DELIVERY = "delivery.v1"
GRAPH = "graph.events.v1"
CALLS = "calls.events.v1"
ACCOUNTS = "accounts.events.v1"
