"""The services to ask: from the environment, or from the record of an embedded stack."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.config import CLEAR_TEXT, KafkaConfig, TlsConfig
from services.runtime.env import ConfigError, EnvReader

# Where `make run` leaves its record.
STACK = Path(".parley/run/stack.json")


@dataclass(frozen=True)
class Config:
    """The services that the tools ask: addresses by the name under which they are shown."""

    # Presence replicas, at their admin ports.
    presence: Mapping[str, str]
    # Gateways, at their admin ports.
    gateways: Mapping[str, str]
    # Signaling at its admin port; any replica will do.
    signaling: Mapping[str, str]
    # A file with a token of the operators' issuer. With the record of an embedded stack, its issuer's key takes the
    # place of it.
    token_file: str = ""
    key_file: str = ""
    # Only for what asks the broker.
    kafka: KafkaConfig | None = None
    # Messaging at its admin port; any replica will do.
    messaging: Mapping[str, str] = field(default_factory=dict)
    # Webhooks at its admin port; any replica will do.
    webhooks: Mapping[str, str] = field(default_factory=dict)
    # Push at its admin port; any replica will do.
    push: Mapping[str, str] = field(default_factory=dict)
    # Where services speak mutual TLS.
    tls: TlsConfig = CLEAR_TEXT

    @classmethod
    def from_env(cls, env: Mapping[str, str], needed: Collection[str]) -> "Config":
        """Read and check the environment: the addresses that are needed. Raises ConfigError with all faults."""
        reader = EnvReader(env)

        def addresses(service: str, name: str) -> dict[str, str]:
            return {address: address for address in reader.addresses(name)} if service in needed else {}

        config = cls(
            presence=addresses("presence", "PARLEY_PRESENCE_ADDRESSES"),
            gateways=addresses("gateway", "PARLEY_GATEWAY_ADDRESSES"),
            signaling=addresses("signaling", "PARLEY_SIGNALING_ADDRESSES"),
            token_file=reader.text("PARLEY_ADMIN_TOKEN_FILE") if set(needed) != {"kafka"} else "",
            kafka=KafkaConfig.read(reader) if "kafka" in needed else None,
            messaging=addresses("messaging", "PARLEY_MESSAGING_ADDRESS"),
            webhooks=addresses("webhooks", "PARLEY_WEBHOOKS_ADDRESSES"),
            push=addresses("push", "PARLEY_PUSH_ADDRESSES"),
            tls=TlsConfig.read(reader),
        )
        reader.finish()
        return config

    @classmethod
    def from_stack(cls, path: Path) -> "Config":
        """Read the record of a running embedded stack. Raises ConfigError."""
        try:
            record = json.loads(path.read_text())
            addresses = dict(record["admin_addresses"])
            key_file = str(record["admin_key_file"])
            tls_folder = str(record["tls_folder"])
            env = {
                "PARLEY_KAFKA_BOOTSTRAP": str(record["kafka_bootstrap"]),
                "PARLEY_KAFKA_IDEMPOTENT": "false",
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError([f"{path} is not the record of a running stack: {error}"]) from error
        reader = EnvReader(env)
        config = cls(
            presence={name: address for name, address in addresses.items() if name.startswith("presence")},
            gateways={name: address for name, address in addresses.items() if name.startswith("gateway")},
            signaling={name: address for name, address in addresses.items() if name.startswith("signaling")},
            key_file=key_file,
            kafka=KafkaConfig.read(reader),
            messaging={name: address for name, address in addresses.items() if name.startswith("messaging")},
            webhooks={name: address for name, address in addresses.items() if name.startswith("webhooks")},
            push={name: address for name, address in addresses.items() if name.startswith("push")},
            tls=TlsConfig.in_folder(Path(tls_folder) / "ops") if tls_folder else CLEAR_TEXT,
        )
        reader.finish()
        return config
