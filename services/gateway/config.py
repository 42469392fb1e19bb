"""Configuration of the gateway; every variable is listed in README.md."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.runtime.config import EnvReader, ProcessConfig, ServerConfig


@dataclass(frozen=True)
class Config:
    """See README.md."""

    process: ProcessConfig
    server: ServerConfig
    presence_addresses: tuple[str, ...]
    messaging_address: str
    # Between heartbeats. Higher: dead streams are found later. Lower: idle devices wake more often.
    heartbeat_s: int
    # Frames that may wait for one device. Higher: more memory for a slow one. Lower: it is cut off earlier.
    device_queue: int
    # Streams that this process takes. Higher: more memory. Lower: devices are turned away earlier.
    max_devices: int
    # How long a new stream waits for its route. Higher: devices hang on. Lower: they reconnect during a rebalance.
    route_wait_s: float

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            process=ProcessConfig.read(reader),
            server=ServerConfig.read(reader),
            presence_addresses=reader.addresses("PARLEY_PRESENCE_ADDRESSES"),
            messaging_address=reader.address("PARLEY_MESSAGING_ADDRESS"),
            heartbeat_s=reader.integer("PARLEY_HEARTBEAT_S", 10, low=1, high=300),
            device_queue=reader.integer("PARLEY_DEVICE_QUEUE", 256, low=8, high=100_000),
            max_devices=reader.integer("PARLEY_MAX_DEVICES", 20_000, low=1, high=1_000_000),
            route_wait_s=reader.number("PARLEY_ROUTE_WAIT_S", 15, low=0.1, high=120),
        )
        reader.finish()
        return config
