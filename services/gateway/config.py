"""Configuration of the gateway; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader


@dataclass(frozen=True)
class Config:
    """Everything that the gateway takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    # Where accounts that were deleted, and tokens that were revoked, are told of.
    kafka: KafkaConfig
    # Every presence replica. A name is looked up each second, and each address behind it counts as a replica.
    presence_addresses: tuple[str, ...]
    # Messaging. Several addresses, or a name with many, are balanced.
    messaging_address: str
    # Signs resume tokens; the gateways' alone. Two while one is replaced: the first signs, both are believed.
    resume_key: tuple[bytes, ...]
    # The time between heartbeats. Raising it finds dead streams later; lowering it wakes idle devices more often.
    heartbeat_s: int
    # Frames that may wait for one device, and their bytes. Raising them takes more memory for a slow device; lowering
    # them cuts it off earlier.
    device_queue: int
    device_queue_bytes: int
    # Streams that this process takes. Raising it takes more memory; lowering it turns devices away earlier.
    max_devices: int
    # How long a new stream waits for its route. Raising it makes devices wait in vain for longer; lowering it makes
    # them reconnect during a rebalance.
    route_wait_s: float
    # How long a device whose stream broke is kept, so that it goes on without a Sync; 0: no device is kept. Raising it
    # costs memory and deliveries for devices that never come back; lowering it makes more devices sync.
    resume_window_s: float
    # Durable frames, and their bytes, kept to be sent again. Raising them takes more memory; lowering them makes busy
    # devices sync.
    replay_frames: int
    replay_bytes: int
    # New streams a second in the long run, and at once. Raising them lets a herd starve the streams that are open;
    # lowering them makes it longer until all are back.
    streams_per_s: float
    streams_burst: int
    # New streams of one user in the long run, and at once. Raising them lets one user take more of the above; lowering
    # them makes devices on a bad network wait, each of which comes back with every break.
    user_streams_per_s: float
    user_streams_burst: int
    # Streams that one address (of IPv6: a /64) may have open here. Raising it lets one network hold more of the
    # process; lowering it turns away people behind one address of a mobile network.
    streams_per_address: int
    # Streams of one user on this gateway. Raising it lets one user hold more of it; lowering it costs honest users a
    # device.
    devices_per_user: int
    # Typing notices of one user in the long run, and at once. Raising it sends watchers more; lowering it drops
    # notices.
    typing_per_s: float
    typing_burst: int
    # Over how long the reconnects of a drain are spread. Streams end within PARLEY_DRAIN_GRACE_S in any case; a device
    # whose turn comes later is told to wait. Raising it is gentler on the other gateways; lowering it makes stops
    # faster.
    drain_spread_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, calls=True, admin=True),
            kafka=KafkaConfig.read(reader),
            presence_addresses=reader.addresses("PARLEY_PRESENCE_ADDRESSES"),
            messaging_address=",".join(reader.addresses("PARLEY_MESSAGING_ADDRESS")),
            resume_key=reader.keys("PARLEY_RESUME_KEY"),
            heartbeat_s=reader.integer("PARLEY_HEARTBEAT_S", 10, low=1, high=300),
            device_queue=reader.integer("PARLEY_DEVICE_QUEUE", 256, low=8, high=100_000),
            max_devices=reader.integer("PARLEY_MAX_DEVICES", 20_000, low=1, high=1_000_000),
            device_queue_bytes=reader.integer("PARLEY_DEVICE_QUEUE_BYTES", 1 << 20, low=1 << 16, high=1 << 30),
            route_wait_s=reader.number("PARLEY_ROUTE_WAIT_S", 15, low=0.1, high=120),
            resume_window_s=reader.number("PARLEY_RESUME_WINDOW_S", 60, low=0, high=600),
            replay_frames=reader.integer("PARLEY_REPLAY_FRAMES", 32, low=1, high=10_000),
            replay_bytes=reader.integer("PARLEY_REPLAY_BYTES", 1 << 16, low=1 << 12, high=1 << 30),
            streams_per_s=reader.number("PARLEY_STREAMS_PER_S", 500, low=0.1, high=100_000),
            streams_burst=reader.integer("PARLEY_STREAMS_BURST", 1_000, low=1, high=1_000_000),
            user_streams_per_s=reader.number("PARLEY_USER_STREAMS_PER_S", 2, low=0.01, high=100_000),
            user_streams_burst=reader.integer("PARLEY_USER_STREAMS_BURST", 60, low=1, high=1_000_000),
            streams_per_address=reader.integer("PARLEY_STREAMS_PER_ADDRESS", 5_000, low=1, high=1_000_000),
            devices_per_user=reader.integer("PARLEY_DEVICES_PER_USER", 20, low=1, high=10_000),
            typing_per_s=reader.number("PARLEY_TYPING_PER_S", 2, low=0.01, high=1_000),
            typing_burst=reader.integer("PARLEY_TYPING_BURST", 10, low=1, high=1_000),
            drain_spread_s=reader.number("PARLEY_DRAIN_SPREAD_S", 4, low=0, high=3600),
        )
        reader.finish()
        return config
