"""Configuration of presence; `make docs` lists every variable, by the comments below."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import DatabaseConfig, KafkaConfig, ProcessConfig, ServerConfig
from services.runtime.env import EnvReader


@dataclass(frozen=True)
class Config:
    """Everything that presence takes from the environment."""

    process: ProcessConfig
    server: ServerConfig
    kafka: KafkaConfig
    database: DatabaseConfig
    # The time from a user's last device leaving to "offline". Raising it shows people online who are gone; lowering it
    # shows every change of networks.
    offline_delay_s: float
    # How long a new owner waits for the gateways' registrations before it delivers. Raising it lets a hung gateway
    # delay all; lowering it makes devices of a slow gateway sync.
    collect_s: float
    # Frames that may wait for one gateway. Raising it takes more memory for a slow one; lowering it cuts a slow one off
    # earlier.
    gateway_queue: int
    # Sessions that one gateway may register here. Raising it takes more memory for a faulty one; lowering it cuts off a
    # large one.
    gateway_sessions: int
    # The time between writes of changed states to PostgreSQL and Kafka. Raising it loses more in a kill; lowering it
    # makes more writes.
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
