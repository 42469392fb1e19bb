"""Parley: one package a service."""

import os

# gRPC's core reads it when it begins. Its newer pollers (EventEngine) wake up to four threads for each event, which
# then look around some fourteen times before they sleep: docs/design/runtime.md, "What gRPC's threads cost". Whoever
# sets the variable has the last word.
os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener")
