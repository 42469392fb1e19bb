"""The gateway's metrics."""

from prometheus_client import Counter, Gauge

DEVICES = Gauge("gateway_devices", "Device streams open.")
DETACHED = Gauge("gateway_detached_devices", "Devices whose stream broke and may be resumed.")
FRAMES = Counter("gateway_frames_queued", "Frames queued for devices, by kind.", ["kind"])
# Looking a child up costs as much as counting.
DURABLE, EPHEMERAL = FRAMES.labels("durable"), FRAMES.labels("ephemeral")
DROPPED = Counter("gateway_ephemeral_dropped", "Typing and presence frames dropped because a device's queue was full.")
CLOSED = Counter("gateway_streams_closed", "Device streams that ended, by reason.", ["reason"])
REFUSED = Counter("gateway_streams_refused", "Device streams that were not let in, by reason.", ["reason"])
RESUMES = Counter("gateway_resumes", "Streams opened, by what became of the wish to resume.", ["outcome"])
RESYNCS = Counter("gateway_resyncs", "Times that a device was told to sync.", ["reason"])
HIDDEN = Counter("gateway_people_hidden", "Times that a watched person was told OFFLINE because they may not be seen.")
UPLINKS = Gauge("gateway_presence_uplinks", "Presence replicas attached to.")
