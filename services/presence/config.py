"""Configuration of presence; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import DatabaseConfig, EnvReader, KafkaConfig, ProcessConfig, ServerConfig


@dataclass(frozen=True)
class Config:
    """Everything that presence takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    # From a user's last device leaving to "offline". Higher: stale green dots. Lower: flicker when networks change.
    offline_delay_s: float
    # How long a new owner waits for the gateways' registrations before it delivers. Higher: a hung gateway delays all.
    # Lower: devices of a slow gateway are told to sync.
    collect_s: float
    # Frames that may wait for one gateway. Higher: more memory for a slow one. Lower: it is cut off earlier.
    gateway_queue: int
    # Sessions that one gateway may register here. Higher: more memory for a mad one. Lower: a large one is cut off.
    gateway_sessions: int
    # Between writes of changed states to PostgreSQL and Kafka. Higher: a kill loses more. Lower: more writes.
    state_interval_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader, public=False, admin=True),
            kafka=KafkaConfig.read(reader),
            database=DatabaseConfig.read(reader),
            offline_delay_s=reader.number("PARLEY_OFFLINE_DELAY_S", 20, low=0, high=3600),
            collect_s=reader.number("PARLEY_COLLECT_S", 2, low=0, high=30),
            gateway_queue=reader.integer("PARLEY_GATEWAY_QUEUE", 50_000, low=100, high=10_000_000),
            gateway_sessions=reader.integer("PARLEY_GATEWAY_SESSIONS", 200_000, low=1, high=10_000_000),
            state_interval_s=reader.number("PARLEY_STATE_INTERVAL_S", 1, low=0.05, high=60),
        )
        reader.finish()
        return config
