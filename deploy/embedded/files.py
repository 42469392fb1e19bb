"""What a stack keeps in its folder, and what is written there before its parts start."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy import identities, push_keys, server_keys
from deploy.certificates import Authority
from deploy.embedded.addresses import GRPC_SERVICES


@dataclass(frozen=True)
class Files:
    """The places, all of them absolute: parts run in folders of their own."""

    edge: Path
    issuer_keys: Path
    kafka: Path
    objects: Path
    postgres: Path
    # With the keys of all who call services, and of who tells who is an operator.
    service_keys: Path
    admin_keys: Path
    # Of servers of the back office.
    server_keys: Path
    # With a folder of certificate and key for each who speaks mutual TLS.
    tls: Path
    # The endpoints of webhooks.
    webhooks: Path
    # The providers of notices to sleeping devices, with their keys.
    push_providers: Path

    @classmethod
    def within(cls, folder: Path) -> Files:
        """Those of a stack with this folder."""
        folder = folder.absolute()
        return cls(
            edge=folder / "edge",
            issuer_keys=folder / "issuer" / "keys.json",
            kafka=folder / "kafka",
            objects=folder / "objects",
            postgres=folder / "postgres",
            service_keys=folder / "service-keys",
            admin_keys=folder / "admin-keys",
            server_keys=folder / "server-keys",
            tls=folder / "tls",
            webhooks=folder / "webhooks.json",
            push_providers=folder / "push-providers.json",
        )

    def write(self, *, is_tls: bool) -> None:
        """Keys and certificates, new at each start, and what is there for good. Blocks."""
        identities.write(self.service_keys, identities.key_sets())
        identities.write(self.admin_keys, identities.admin_key_sets())
        server_keys.keep(self.server_keys)
        if is_tls:
            authority = Authority(self.tls)
            for name in (*GRPC_SERVICES, "edge", "ops"):
                authority.issue_to(name)
        # Those of whoever runs the stack: they stay.
        _keep(self.webhooks, lambda: {"endpoints": []})
        _keep(self.push_providers, lambda: push_keys.web_push_of("mailto:operator@parley.invalid"))


def _keep(path: Path, make: Callable[[], object]) -> None:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(make()) + "\n")
