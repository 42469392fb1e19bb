"""Presence's metrics."""

from prometheus_client import Counter, Gauge

SESSIONS = Gauge("presence_sessions", "Device streams routed by this replica.")
GATEWAYS = Gauge("presence_gateways", "Gateways attached.")
PARTITIONS = Gauge("presence_partitions", "Partitions of delivery.v1 owned.")
EVENTS = Counter("presence_events", "Events from delivery.v1, by whether a device was there.", ["result"])
FRAMES = Counter("presence_frames_sent", "Frames queued for gateways, by kind.", ["kind"])
OVERFLOWS = Counter("presence_gateway_overflows", "Gateways cut off because their queue was full.")
