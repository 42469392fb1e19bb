"""The programs of a cluster as command lines, in the order in which they start. Pure."""

from __future__ import annotations

from deploy.cluster.layout import API_PORT, NODE, NODE_IP, POD_CIDR, SERVICE_CIDR, Layout

_ISSUER = "https://kubernetes.default.svc.cluster.local"


def api(layout: Layout) -> dict[str, list[str]]:
    """etcd and the API server: they validate and keep objects, and nothing runs."""
    pki = layout.pki
    return {
        "etcd": [
            "etcd",
            "--name=one",
            f"--data-dir={layout.run}/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=one=http://127.0.0.1:2380",
            # The cluster begins anew at each start.
            "--unsafe-no-fsync",
        ],
        "kube-apiserver": [
            layout.program("kube-apiserver"),
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={NODE_IP}",
            f"--advertise-address={NODE_IP}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--client-ca-file={pki}/ca.pem",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet.key",
            f"--kubelet-certificate-authority={pki}/ca.pem",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={pki}/accounts.pub",
            f"--service-account-signing-key-file={pki}/accounts.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.pem",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={pki}/front-proxy.crt",
            f"--proxy-client-key-file={pki}/front-proxy.key",
            "--enable-aggregator-routing=true",
        ],
    }


def controllers(layout: Layout) -> dict[str, list[str]]:
    """What makes pods of workloads, and gives them a node."""
    return {
        "kube-controller-manager": [
            layout.program("kube-controller-manager"),
            *_as(layout, "controller-manager"),
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={layout.pki}/accounts.key",
            f"--root-ca-file={layout.pki}/ca.pem",
            f"--requestheader-client-ca-file={layout.pki}/front-proxy-ca.pem",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={POD_CIDR}",
            "--node-cidr-mask-size=24",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
        ],
        "kube-scheduler": [layout.program("kube-scheduler"), *_as(layout, "scheduler")],
    }


def runtime(layout: Layout) -> dict[str, list[str]]:
    """What runs containers."""
    return {"containerd": ["containerd", "--config", f"{layout.run}/containerd.toml"]}


def node(layout: Layout) -> dict[str, list[str]]:
    """What runs the pods of the node, and routes Services."""
    return {
        "kubelet": [
            layout.program("kubelet"),
            f"--config={layout.run}/kubelet.yaml",
            f"--kubeconfig={layout.kubeconfig('kubelet')}",
            f"--root-dir={layout.run}/kubelet",
            f"--cert-dir={layout.pki}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_IP}",
            "--node-labels=topology.kubernetes.io/zone=here",
        ],
        "kube-proxy": [layout.program("kube-proxy"), f"--config={layout.run}/proxy.yaml"],
    }


def policies(layout: Layout) -> dict[str, list[str]]:
    """What enforces NetworkPolicies, and nothing else of it."""
    return {
        "kube-router": [
            layout.program("kube-router"),
            f"--kubeconfig={layout.kubeconfig()}",
            f"--hostname-override={NODE}",
            "--run-router=false",
            "--run-firewall=true",
            "--run-service-proxy=false",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--health-port=0",
            "--metrics-port=0",
        ]
    }


def _as(layout: Layout, user: str) -> list[str]:
    config = layout.kubeconfig(user)
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]
