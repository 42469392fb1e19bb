"""Files and certificates: what settings name is mounted, probes get in, and the services' authority is their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from deploy.k8s.objects import Object, Pod, environment, find, namespace_of, of_kind, pods, probes, title
from deploy.k8s.semantics import made_secrets
from deploy.k8s.settings import read_by, service_of
from services.runtime.config import ServerConfig

CERTIFICATE = "PARLEY_TLS_CERTIFICATE_FILE"
GRPC_ADDRESS = "0.0.0.0:7000"


def files(objects: list[Object]) -> Iterator[str]:
    """A file that a service's setting names is in a volume of the pod, and its Secret has it."""
    for pod in pods(objects):
        for container in pod.containers:
            env, _ = environment(objects, pod, container)
            service = service_of(container)
            # Who is none of ours renders what the edge beside it reads.
            read = read_by(service, env)[0] if service else env.keys()
            for name, value in env.items():
                if name.endswith("_FILE") and value and name in read and not _is_mounted(objects, pod, PurePath(value)):
                    yield f"{pod.name}: {name}: nothing mounts {value}"


def _is_mounted(objects: list[Object], pod: Pod, file: PurePath) -> bool:
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    for container in pod.containers:
        for mount in container.get("volumeMounts", []):
            if file.is_relative_to(mount["mountPath"]):
                inside = str(file.relative_to(mount["mountPath"]))
                return _has(objects, pod.namespace, volumes.get(mount["name"], {}), inside)
    return False


def _has(objects: list[Object], namespace: str, volume: Object, file: str) -> bool:
    if "secret" not in volume:
        # Written by a container of the pod.
        return "emptyDir" in volume
    items = volume["secret"].get("items")
    keys = made_secrets(objects).get((namespace, volume["secret"]["secretName"]), ())
    return file in ([item["path"] for item in items] if items else keys)


def probe_ports(objects: list[Object]) -> Iterator[str]:
    """The kubelet has no certificate: with TLS it asks at the port for health alone, which no policy opens to pods."""
    for pod in pods(objects):
        for container in pod.spec["containers"]:
            env, _ = environment(objects, pod, container)
            name, default = "PARLEY_GRPC_ADDRESS", GRPC_ADDRESS
            if env.get(CERTIFICATE):
                name, default = "PARLEY_HEALTH_ADDRESS", ServerConfig.health_address
            port = int(env.get(name, default).rpartition(":")[2])
            for probe, how in probes(container):
                if "grpc" in how and how["grpc"]["port"] != port:
                    yield f"{pod.name}: {probe} asks port {how['grpc']['port']}, not {port}"
    for policy in of_kind(objects, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            if any(port.get("port") in ("health", 7200) for port in rule.get("ports", [])):
                yield f"{title(policy)} opens the port for health, which asks nobody who they are"


def authorities(objects: list[Object]) -> Iterator[str]:
    """A certificate by which one connects to services is of an authority in the cluster, and for one service's name."""
    for certificate in of_kind(objects, "Certificate"):
        spec = certificate["spec"]
        if "client auth" not in spec.get("usages", []):
            continue
        issuer = find(objects, "ClusterIssuer", "", spec["issuerRef"]["name"])
        if issuer is None or "ca" not in issuer["spec"]:
            yield f"{title(certificate)}: {spec['issuerRef']['name']} is no authority of the services alone"
        if "server auth" not in spec["usages"] or len(spec["dnsNames"]) != 1:
            yield f"{title(certificate)} is not for one server and client"
        users = {pod.owner["metadata"]["name"] for pod in pods(objects) if _mounts(pod, certificate)}
        yield from (f"{user} shows a certificate of {spec['dnsNames']}" for user in users - set(spec["dnsNames"]))


def _mounts(pod: Pod, certificate: Object) -> bool:
    secrets = [volume.get("secret", {}).get("secretName") for volume in pod.spec.get("volumes", [])]
    return pod.namespace == namespace_of(certificate) and certificate["spec"]["secretName"] in secrets


RULES = (files, probe_ports, authorities)
