"""Signaling's configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.runtime.config import DatabaseConfig, KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader
from services.signaling.core.grants import GrantPolicy
from services.signaling.core.model import Timeouts
from services.signaling.core.placement import PlacementPolicy
from services.signaling.core.rate import RatePolicy, StartPolicy


@dataclass(frozen=True)
class TurnConfig:
    """coturn's shared secret and the addresses to give to clients; no addresses means no relay."""

    # coturn's addresses, such as `turn:host:3478?transport=udp` or `turns:host:5349?transport=tcp`, separated by
    # commas. Empty: no relay.
    urls: tuple[str, ...]
    # The `static-auth-secret` of coturn.
    secret: bytes
    # The life of TURN credentials, an hour at most. A call that outlives them goes on; to change its path its client
    # joins again, with a new grant's credentials. Raising it lets leaked credentials relay for longer; lowering it
    # leaves slow clients without a relay.
    ttl_s: int

    @classmethod
    def read(cls, env: EnvReader) -> "TurnConfig":
        urls = tuple(part.strip() for part in env.text("PARLEY_TURN_URLS", "").split(",") if part.strip())
        for url in urls:
            if not url.startswith(("turn:", "turns:")):
                env.problem(f"PARLEY_TURN_URLS has {url!r}, which is not turn: or turns:")
        secret = env.text("PARLEY_TURN_SECRET") if urls else ""
        return cls(urls, secret.encode(), env.integer("PARLEY_TURN_TTL_S", 3_600, low=60, high=3_600))


@dataclass(frozen=True)
class PushConfig:
    """Where ring notifications are posted; no address means nowhere."""

    # Where rings are posted for devices that are offline: an http or https address. Empty: nowhere.
    url: str
    # Signs the posts. Several while the secret is changed: the receiver takes the one that it knows.
    secret: tuple[bytes, ...]

    @classmethod
    def read(cls, env: EnvReader) -> "PushConfig":
        url = env.text("PARLEY_PUSH_WEBHOOK_URL", "")
        if url and not url.startswith(("http://", "https://")):
            env.problem("PARLEY_PUSH_WEBHOOK_URL is not http:// or https://")
        return cls(url, env.keys("PARLEY_PUSH_WEBHOOK_SECRET") if url else ())


@dataclass(frozen=True)
class Config:
    """Everything that signaling takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    # Messaging, which is asked who may be rung.
    messaging_address: str
    # Every presence replica, to which the news of calls are handed directly. A name with many addresses is all of them.
    # Empty: they come to devices by Kafka alone.
    presence_addresses: tuple[str, ...]
    timeouts: Timeouts
    grants: GrantPolicy
    placement: PlacementPolicy
    start: StartPolicy
    turn: TurnConfig
    push: PushConfig
    # How long ended calls are kept. Raising it keeps more rows; lowering it hides older calls from people's lists.
    retention: timedelta

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read the environment. Raises ConfigError with all that is wrong."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, calls=True, admin=True, servers=True),
            kafka=KafkaConfig.read(reader),
            database=DatabaseConfig.read(reader),
            messaging_address=",".join(reader.addresses("PARLEY_MESSAGING_ADDRESS")),
            presence_addresses=reader.addresses("PARLEY_PRESENCE_ADDRESSES", ""),
            timeouts=Timeouts(
                ring_s=reader.number("PARLEY_RING_TIMEOUT_S", 45, low=0.1, high=600),
                media_lost_s=reader.number("PARLEY_MEDIA_LOST_TIMEOUT_S", 60, low=0.1, high=3600),
                device_closed_s=reader.number("PARLEY_DEVICE_CLOSED_TIMEOUT_S", 10, low=0.1, high=3600),
                handoff_s=reader.number("PARLEY_HANDOFF_S", 10, low=0.5, high=300),
            ),
            grants=GrantPolicy(
                token_ttl_s=reader.number("PARLEY_JOIN_TOKEN_TTL_S", 60, low=2, high=600),
                audio_slots=reader.integer("PARLEY_AUDIO_SLOTS", 1, low=1, high=16),
                video_slots=reader.integer("PARLEY_VIDEO_SLOTS", 1, low=1, high=32),
                group_audio_slots=reader.integer("PARLEY_GROUP_AUDIO_SLOTS", 4, low=1, high=16),
                group_video_slots=reader.integer("PARLEY_GROUP_VIDEO_SLOTS", 8, low=1, high=32),
            ),
            placement=PlacementPolicy(
                lost_after_s=reader.number("PARLEY_WORKER_LOST_S", 5, low=0.5, high=600),
                steady_after_s=reader.number("PARLEY_MEDIA_SETTLE_S", 10, low=0, high=600),
                region=reader.text("PARLEY_REGION", ""),
                spreads_calls=reader.boolean("PARLEY_SPREAD_CALLS", True),
            ),
            start=StartPolicy(
                group_capacity=reader.integer("PARLEY_GROUP_CALL_CAPACITY", 32, low=2, high=500),
                rate=RatePolicy(
                    max_calls=reader.integer("PARLEY_CALLS_PER_MINUTE", 20, low=1, high=10_000),
                    max_rings=reader.integer("PARLEY_STRANGER_RINGS_PER_MINUTE", 10, low=1, high=10_000),
                ),
            ),
            turn=TurnConfig.read(reader),
            push=PushConfig.read(reader),
            retention=timedelta(days=reader.number("PARLEY_CALLS_RETENTION_DAYS", 90, low=0.001, high=36_500)),
        )
        reader.finish()
        return config
