"""Presence's metrics."""

from prometheus_client import Counter, Gauge

SESSIONS = Gauge("presence_sessions", "Device streams routed by this replica.")
GATEWAYS = Gauge("presence_gateways", "Gateways attached.")
PARTITIONS = Gauge("presence_partitions", "Partitions of delivery.v1 owned.")
EVENTS = Counter("presence_events", "Events from delivery.v1, by whether a device was there.", ["result"])
# Looking a child up costs as much as routing an event.
ROUTED, NO_DEVICE = EVENTS.labels("routed"), EVENTS.labels("no_device")
DIRECT = Counter(
    "presence_direct_deliveries",
    "Deliveries that producers handed over: taken, held for those before them, known already, for a user without a"
    " device, or stale (sent by an older assignment).",
    ["result"],
)
DIRECT_TAKEN, DIRECT_HELD, DIRECT_KNOWN, DIRECT_NO_DEVICE, DIRECT_STALE = (
    DIRECT.labels(result) for result in ("taken", "held", "known", "no_device", "stale")
)
KNOWN = Counter("presence_known_deliveries", "Deliveries of delivery.v1 that had been passed on before.")
FRAMES = Counter("presence_frames_sent", "Frames queued for gateways, by kind.", ["kind"])
DURABLE, EPHEMERAL, CONTROL = FRAMES.labels("durable"), FRAMES.labels("ephemeral"), FRAMES.labels("control")
OVERFLOWS = Counter("presence_gateway_overflows", "Gateways cut off because their queue was full.")
REFUSED = Counter("presence_refused_entries", "Sessions, watches and routes of gateways passed over.", ["reason"])
CUT_OFF = Counter("presence_gateways_cut_off", "Gateways cut off because they hold more than one may.")
CHANGES = Counter("presence_state_changes", "Changes of a person's state, by the new one.", ["standing"])
STATES_WRITTEN = Counter("presence_states_written", "States written to the store and to the feed.", ["to"])
STATES_DROPPED = Counter("presence_states_dropped", "States given up because too many waited.", ["to"])
LAST_SEEN_LOADED = Counter("presence_recalled_users", "Users whose last-seen time was looked up for a snapshot.")
EXPELLED = Counter("presence_members_expelled", "Dead replicas that this one took leave of the consumer group for.")
COLLECTING = Gauge("presence_collecting_seconds", "How long the last wait for the gateways' registrations took.")
