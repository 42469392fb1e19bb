"""Certificates of the cluster's own programs, for one life of the cluster, and how each reaches the API server."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.certificates import Authority
from deploy.cluster import configs
from deploy.cluster.layout import API_SERVICE_IP, NODE, NODE_IP, Layout

_MASTERS = "system:masters"
# By the name of its kubeconfig: (user, group), as Kubernetes' own roles have them.
USERS = {
    "admin": ("admin", _MASTERS),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}
_API_NAMES = (
    *(f"kubernetes{domain}" for domain in ("", ".default", ".default.svc", ".default.svc.cluster.local")),
    *("localhost", "127.0.0.1", NODE_IP, API_SERVICE_IP),
)


def write(layout: Layout) -> None:
    """All of them, new."""
    authority = Authority(layout.pki, "ca")
    authority.issue("apiserver", _API_NAMES)
    authority.issue("kubelet-server", (NODE, NODE_IP), user=f"system:node:{NODE}")
    authority.issue("apiserver-kubelet", (), user="kube-apiserver-kubelet-client", group=_MASTERS)
    Authority(layout.pki, "front-proxy-ca").issue("front-proxy", ())
    _write_account_keys(layout.pki)
    for name, (user, group) in USERS.items():
        pem = authority.issue(name, (), user=user, group=group)
        text = configs.kubeconfig(pem.certificate.read_bytes(), pem.key.read_bytes(), authority.ca.read_bytes())
        write_private(layout.kubeconfig(name), text.encode())


def write_private(path: Path, data: bytes) -> None:
    """For its owner's eyes only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _write_account_keys(folder: Path) -> None:
    """With which service accounts' tokens are signed."""
    private = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    key = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    write_private(folder / "accounts.key", key)
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "accounts.pub").write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, public))
