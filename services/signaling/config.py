"""Signaling's configuration."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import DatabaseConfig, EnvReader, KafkaConfig, ProcessConfig, ServerConfig
from services.signaling.core.grants import GrantPolicy
from services.signaling.core.model import Timeouts
from services.signaling.core.placement import PlacementPolicy


@dataclass(frozen=True)
class Config:
    """Everything that signaling takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    messaging_address: str
    # Shared with the SFU workers.
    join_token_key: bytes
    timeouts: Timeouts
    grants: GrantPolicy
    placement: PlacementPolicy

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read the environment. Raises ConfigError with all that is wrong."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader),
            kafka=KafkaConfig.read(reader),
            database=DatabaseConfig.read(reader),
            messaging_address=",".join(reader.addresses("PARLEY_MESSAGING_ADDRESS")),
            join_token_key=reader.key("PARLEY_JOIN_TOKEN_KEY"),
            timeouts=Timeouts(
                ring_s=reader.number("PARLEY_RING_TIMEOUT_S", 45, low=0.1, high=600),
                media_lost_s=reader.number("PARLEY_MEDIA_LOST_TIMEOUT_S", 60, low=0.1, high=3600),
            ),
            grants=GrantPolicy(
                token_ttl_s=reader.number("PARLEY_JOIN_TOKEN_TTL_S", 60, low=2, high=600),
                audio_slots=reader.integer("PARLEY_AUDIO_SLOTS", 1, low=1, high=16),
                video_slots=reader.integer("PARLEY_VIDEO_SLOTS", 1, low=1, high=32),
            ),
            placement=PlacementPolicy(
                lost_after_s=reader.number("PARLEY_WORKER_LOST_S", 5, low=0.5, high=600),
                settle_s=reader.number("PARLEY_MEDIA_SETTLE_S", 10, low=0, high=600),
            ),
        )
        reader.finish()
        return config
