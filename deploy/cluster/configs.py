"""The files that the programs read. Pure: text by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import yaml

from deploy.cluster.layout import API_PORT, DNS_IP, NODE, NODE_IP, NODE_POD_CIDR, PAUSE, POD_CIDR, Layout

CNI_PROGRAMS = "/usr/lib/cni"
# By this name CNI remembers what it gave.
NETWORK = "parley"


def files(layout: Layout, runc: str) -> dict[str, str]:
    """By path below the run folder: the node's configuration."""
    return {
        "containerd.toml": containerd(layout, runc),
        "cni/10-parley.conflist": json.dumps(cni(layout), indent=1),
        "kubelet.yaml": yaml.safe_dump(kubelet(layout)),
        "proxy.yaml": yaml.safe_dump(proxy(layout)),
        # No name server but the cluster's own.
        "resolv.conf": "",
    }


def kubeconfig(certificate: bytes, key: bytes, authority: bytes) -> str:
    """How the owner of the certificate reaches the API server."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode()

    cluster = {"server": f"https://{NODE_IP}:{API_PORT}", "certificate-authority-data": encoded(authority)}
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "parley", "cluster": cluster}],
            "users": [{"name": "one", "user": user}],
            "contexts": [{"name": "parley", "context": {"cluster": "parley", "user": "one"}}],
            "current-context": "parley",
        }
    )


def containerd(layout: Layout, runc: str) -> str:
    """The runtime's, as Debian 12 has it."""
    return f"""\
version = 2
root = "{layout.containerd}/root"
state = "{layout.containerd}/state"
disabled_plugins = [{", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in _SNAPSHOTTERS)}]
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # Without CAP_SYS_RESOURCE no process can be made safer from the OOM killer than its parent is.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  enable_selinux = false
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "{runc}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PROGRAMS}"
    conf_dir = "{layout.run}/cni"
"""


# They ask for file systems that are not here, and say so at each start.
_SNAPSHOTTERS = ("btrfs", "zfs", "devmapper", "aufs")


def cni(layout: Layout) -> Mapping[str, Any]:
    """A bridge, and the node's ports (`hostPort`)."""
    ranges = [[{"subnet": NODE_POD_CIDR}]]
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "isDefaultGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": f"{layout.run}/cni-ipam", "ranges": ranges},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": NETWORK, "plugins": [bridge, ports]}


def kubelet(layout: Layout) -> Mapping[str, Any]:
    """Whatever it writes is below the run folder; this machine's free disk is no reason to evict."""
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.pem"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet-server.key",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{layout.run}/resolv.conf",
        "podLogsDir": f"{layout.logs}/pods",
        "volumePluginDir": f"{layout.run}/volume-plugins",
        "staticPodPath": "",
        "failSwapOn": False,
        "failCgroupV1": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": True,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
    }


def proxy(layout: Layout) -> Mapping[str, Any]:
    """Services, by nftables."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": NODE_IP,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig("proxy"))},
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE,
        "oomScoreAdj": 0,
        # These are the machine's, and not the node's.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
