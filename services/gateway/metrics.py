"""The gateway's metrics."""

from prometheus_client import Counter, Gauge

DEVICES = Gauge("gateway_devices", "Device streams open.")
FRAMES = Counter("gateway_frames_queued", "Frames queued for devices, by kind.", ["kind"])
DROPPED = Counter("gateway_ephemeral_dropped", "Typing and presence frames dropped because a device's queue was full.")
CLOSED = Counter("gateway_streams_closed", "Device streams that ended, by reason.", ["reason"])
RESYNCS = Counter("gateway_resyncs", "Times that a device was told to sync.", ["reason"])
UPLINKS = Gauge("gateway_presence_uplinks", "Presence replicas attached to.")
