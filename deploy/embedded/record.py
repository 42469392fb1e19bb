"""What a running stack tells others about itself: a file that exists while it runs."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULT_RECORD = ROOT / ".parley" / "run" / "stack.json"


@dataclass(frozen=True)
class StackRecord:
    """Addresses are `host:port`. Of several replicas each has a name: `<service>-1`, `<service>-2` and so on."""

    pid: int
    web_url: str
    edge_address: str
    issuer_url: str
    kafka_bootstrap: str
    objects_url: str
    # By database name.
    database_urls: dict[str, str]
    # By process name.
    pids: dict[str, int]
    grpc_addresses: dict[str, str]
    # Where people call the admin services; of those that have any.
    admin_addresses: dict[str, str]
    metrics_addresses: dict[str, str]
    media_addresses: dict[str, str]
    log_folder: str
    # With the keys of all who call services (see deploy/identities.py), for tools and tests. For its owner's eyes only.
    service_keys_folder: str
    # Of the stack's issuer of people: who can read it is an operator. For its owner's eyes only.
    admin_key_file: str
    # With a folder of certificate and key for each who speaks mutual TLS, tools too; empty: all speak in clear text.
    tls_folder: str
    # Where the services tell their health in clear text; empty without TLS, when grpc_addresses do.
    health_addresses: dict[str, str]
    # The endpoints of webhooks, with their secrets; read again when it changes. For its owner's eyes only.
    webhooks_file: str
    # The providers of notices to sleeping devices, with their keys; the same.
    push_providers_file: str
    # Of servers of the back office: demo.json, which may do all, and the set that the services read, public.json. For
    # its owner's eyes only.
    server_keys_folder: str

    def write(self, path: Path) -> None:
        """Replaces the file at once, so that a reader never sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        unfinished.replace(path)


def read_record(path: Path = DEFAULT_RECORD) -> StackRecord | None:
    """The record of the stack that runs now; None when none runs, also when one was killed and left its file."""
    try:
        record = StackRecord(**json.loads(path.read_text()))
        os.kill(record.pid, 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, TypeError):
        return None
    except PermissionError:
        pass
    return record
