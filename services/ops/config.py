"""Whom to ask: from the environment, or from the record of an embedded stack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.runtime.config import ConfigError, EnvReader

# Where `make run` leaves its record.
STACK = Path(".parley/run/stack.json")


@dataclass(frozen=True)
class Config:
    """See README.md. Addresses by the name under which they are shown."""

    presence: Mapping[str, str]
    gateways: Mapping[str, str]
    service_key: bytes

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Config":
        """Read and check the environment. Raises ConfigError with all faults."""
        reader = EnvReader(env)
        config = cls(
            presence={address: address for address in reader.addresses("PARLEY_PRESENCE_ADDRESSES")},
            gateways={address: address for address in reader.addresses("PARLEY_GATEWAY_ADDRESSES")},
            service_key=reader.key("PARLEY_SERVICE_KEY"),
        )
        reader.finish()
        return config

    @classmethod
    def from_stack(cls, path: Path) -> "Config":
        """Read the record of a running embedded stack. Raises ConfigError."""
        try:
            record = json.loads(path.read_text())
            addresses = dict(record["grpc_addresses"])
            env = {"PARLEY_SERVICE_KEY": str(record["service_key"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError([f"{path} is not the record of a running stack: {error}"]) from error
        reader = EnvReader(env)
        config = cls(
            presence={name: address for name, address in addresses.items() if name.startswith("presence")},
            gateways={name: address for name, address in addresses.items() if name.startswith("gateway")},
            service_key=reader.key("PARLEY_SERVICE_KEY"),
        )
        reader.finish()
        return config
