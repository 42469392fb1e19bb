"""What schemas cannot see: whether the manifests fit each other, the images, and what the services read.

Each rule yields one line for each finding. tests/unit/deploy/test_k8s.py seeds defects and expects each to be found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.k8s.objects import (
    Object,
    Pod,
    environment,
    find,
    matches,
    namespace_of,
    of_kind,
    pods,
    probes,
    title,
)
from deploy.k8s.secrets import COPIES, SECRETS

DOCKERFILES = Path(__file__).parent.parent / "docker"
# Labels that operators put on pods that are not in the manifests.
OPERATORS_LABELS = ("cnpg.io/cluster", "strimzi.io/cluster")
# What makes Secrets, under which name, with which keys: cert-manager, Strimzi, CloudNativePG.
MAKERS = {
    "Certificate": ("", ("ca.crt", "tls.crt", "tls.key")),
    "KafkaUser": ("{}", ("ca.crt", "user.crt", "user.key", "user.p12", "user.password")),
    "Kafka": ("{}-cluster-ca-cert", ("ca.crt", "ca.p12", "ca.password")),
    "Cluster": ("{}-ca", ("ca.crt", "ca.key")),
}
HOST_PORTS = {("parley-media", "sfu", 7800), ("parley-media", "sfu", 7801)}
# Kubernetes' default is one second, and who starts on a busy node answers later than that. Raising it: a pod that hangs
# is found later. Lowering it: one that is only busy is restarted.
PROBE_WITHIN_S = 3

Rule = Callable[[list[Object]], Iterator[str]]


def unique_names(objects: list[Object]) -> Iterator[str]:
    """One object a name."""
    seen: set[str] = set()
    for item in objects:
        if title(item) in seen:
            yield f"{title(item)} is there twice"
        seen.add(title(item))


def selectors(objects: list[Object]) -> Iterator[str]:
    """A selector selects something; that of a workload, its own pods."""
    found = pods(objects)
    for pod in found:
        selector = pod.owner["spec"].get("selector")
        if selector and not matches(selector, pod.labels):
            yield f"{pod.name}: its selector does not match its own pods"
        for constraint in pod.spec.get("topologySpreadConstraints", []):
            if not matches(constraint["labelSelector"], pod.labels):
                yield f"{pod.name}: a topology spread counts other pods"
    for item in of_kind(objects, "Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        selector = _selector(item)
        theirs = any(key in OPERATORS_LABELS for key in selector.get("matchLabels", {}))
        if not theirs and not _selected(found, item):
            yield f"{title(item)} selects no pods"
    for policy in of_kind(objects, "NetworkPolicy"):
        for peer in _peers(policy):
            labels = peer.get("podSelector", {})
            theirs = any(key in OPERATORS_LABELS for key in labels.get("matchLabels", {}))
            if labels and not theirs and not any(matches(labels, pod.labels) for pod in found):
                yield f"{title(policy)} speaks of pods that are not there: {labels}"


def ports(objects: list[Object]) -> Iterator[str]:
    """A port that is named is there: of Services, probes, policies and monitors."""
    found = pods(objects)
    for pod in found:
        yield from _probe_ports(pod)
    for item in of_kind(objects, "Service", "NetworkPolicy"):
        for target in _target_ports(item):
            for pod in _selected(found, item):
                if not _has_port(pod, target):
                    yield f"{title(item)}: {pod.name} has no port {target}"
    for monitor in of_kind(objects, "PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            selected = _selected(found, monitor)
            if selected and not any(endpoint["port"] in pod.port_names() for pod in selected):
                yield f"{title(monitor)}: no pod has a port {endpoint['port']}"


def scrapes(objects: list[Object]) -> Iterator[str]:
    """Who has metrics is scraped, the edge too."""
    found = pods(objects)
    monitored = [
        (pod.name, endpoint["port"])
        for monitor in of_kind(objects, "PodMonitor")
        for pod in _selected(found, monitor)
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
    ]
    yield from (
        f"nobody scrapes {pod.name}"
        for pod in found
        if "metrics" in pod.port_names() and (pod.name, "metrics") not in monitored
    )


def _probe_ports(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        own = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        for name, probe in probes(container):
            kind = next(kind for kind in ("grpc", "httpGet", "tcpSocket", "exec") if kind in probe)
            port = probe[kind].get("port")
            if kind != "exec" and port not in own and port not in own.values():
                yield f"{pod.name}: {name} asks port {port}, which {container['name']} does not have"


def _has_port(pod: Pod, target: int | str | range) -> bool:
    ports = pod.port_names()
    if isinstance(target, range):
        return any(port in target for port in ports.values())
    return target in ports or target in ports.values()


def _target_ports(item: Object) -> Iterator[int | str | range]:
    """The ports of the pods that an object speaks of. One policy is for all who have metrics, whoever that is."""
    if item["kind"] == "Service":
        yield from (port.get("targetPort", port["port"]) for port in item["spec"]["ports"])
    for rule in item["spec"].get("ingress", []):
        for port in rule.get("ports", []):
            if "endPort" in port:
                yield range(port["port"], port["endPort"] + 1)
            elif port["port"] != "metrics":
                yield port["port"]


def references(objects: list[Object]) -> Iterator[str]:
    """What is referred to is there: ConfigMaps, Secrets and their keys, ServiceAccounts, volumes, scale targets."""
    for pod in pods(objects):
        yield from (f"{pod.name}: {problem}" for problem in _missing(objects, pod))
    for scaler in of_kind(objects, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if not find(objects, target["kind"], namespace_of(scaler), target["name"]):
            yield f"{title(scaler)}: there is no {target['kind']} {target['name']}"
        if scaler["spec"]["minReplicas"] > scaler["spec"]["maxReplicas"]:
            yield f"{title(scaler)}: more at least than at most"
    for secret in of_kind(objects, "ExternalSecret"):
        keys = {entry["secretKey"] for entry in secret["spec"]["data"]}
        wanted = set({**SECRETS, **COPIES}.get((namespace_of(secret), secret["spec"]["target"]["name"]), ()))
        if keys != wanted:
            yield f"{title(secret)} has the keys {sorted(keys)}, not {sorted(wanted)}"


def _missing(objects: list[Object], pod: Pod) -> Iterator[str]:
    account = pod.spec.get("serviceAccountName", "")
    if not find(objects, "ServiceAccount", pod.namespace, account):
        yield f"there is no ServiceAccount {account!r}"
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    for volume in volumes.values():
        if "secret" in volume:
            yield from _missing_keys(made_secrets(objects), pod.namespace, volume["secret"])
    for container in pod.containers:
        mounts = (mount["name"] for mount in container.get("volumeMounts", []))
        yield from (f"there is no volume {name}" for name in mounts if name not in volumes)
        _, problems = environment(objects, pod, container)
        yield from (f"{container['name']}: {problem}" for problem in problems)


def security(objects: list[Object]) -> Iterator[str]:
    """Pod Security "restricted" and a read-only root; the exceptions are HOST_PORTS. No pod has an API token."""
    for pod in pods(objects):
        context = pod.spec.get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{pod.name} may run as root, or without seccomp"
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.name} gets a token of the API server"
        for name in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(name):
                yield f"{pod.name} has {name}"
        for volume in pod.spec.get("volumes", []):
            if "hostPath" in volume:
                yield f"{pod.name} mounts a path of the node"
        for container in pod.containers:
            yield from _container_security(pod, container)


def _container_security(pod: Pod, container: Object) -> Iterator[str]:
    context = container.get("securityContext", {})
    where = f"{pod.name}: {container['name']}"
    if context.get("allowPrivilegeEscalation") is not False or not context.get("readOnlyRootFilesystem"):
        yield f"{where} may gain privileges or write to its root"
    if context.get("capabilities", {}).get("drop") != ["ALL"] or context.get("capabilities", {}).get("add"):
        yield f"{where} has capabilities"
    for port in container.get("ports", []):
        allowed = (pod.namespace, container["name"], port.get("hostPort")) in HOST_PORTS
        if "hostPort" in port and not allowed:
            yield f"{where} takes port {port['hostPort']} of the node"


def pod_security_of_namespaces(objects: list[Object]) -> Iterator[str]:
    """A namespace neither refuses what its pods need nor warns of it: what warns at every apply is read by nobody."""
    with_ports = {
        pod.namespace
        for pod in pods(objects)
        if any("hostPort" in p for c in pod.containers for p in c.get("ports", []))
    }
    for item in of_kind(objects, "Namespace"):
        labels = item["metadata"].get("labels", {})
        for mode in ("enforce", "warn", "audit"):
            level = labels.get(f"pod-security.kubernetes.io/{mode}", "privileged")
            if level != "privileged" and item["metadata"]["name"] in with_ports:
                yield f"{title(item)}: {mode} {level} is against ports of the node, which its pods take"


def liveness(objects: list[Object]) -> Iterator[str]:
    """Everything that serves has probes with time to answer them, and being alive depends on no store."""
    for pod in pods(objects):
        if pod.owner["kind"] == "Job":
            continue
        for container in pod.spec["containers"]:
            found = dict(probes(container))
            for name in {"livenessProbe", "readinessProbe", "startupProbe"} - found.keys():
                yield f"{pod.name}: {container['name']} lacks a {name}"
            for name, probe in found.items():
                if probe.get("timeoutSeconds", 1) < PROBE_WITHIN_S:
                    yield f"{pod.name}: {container['name']} has less than {PROBE_WITHIN_S} s for its {name}"
            for name, service in (("livenessProbe", "liveness"), ("readinessProbe", "readiness")):
                asked = found.get(name, {}).get("grpc", {}).get("service", service)
                if asked != service:
                    yield f"{pod.name}: {name} asks for {asked}"


def disruption(objects: list[Object]) -> Iterator[str]:
    """Whatever has more than one replica has a budget that lets nodes be drained, in whatever state its pods are.

    Without AlwaysAllow a pod that is not ready is kept as soon as the budget is used up: two of three that crash block
    every drain.
    """
    found = pods(objects)
    for pod in found:
        if pod.owner["kind"] == "Job" or pod.owner["spec"].get("replicas") == 1:
            continue
        budgets = [b for b in of_kind(objects, "PodDisruptionBudget") if pod in _selected(found, b)]
        if len(budgets) != 1:
            yield f"{pod.name} has {len(budgets)} disruption budgets"
        yield from (f"{title(b)} allows none" for b in budgets if b["spec"].get("maxUnavailable") in (0, "0%"))
    for budget in of_kind(objects, "PodDisruptionBudget"):
        if budget["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"{title(budget)} keeps pods that are not ready"


def images(objects: list[Object]) -> Iterator[str]:
    """Images of ours are targets of the Dockerfiles."""
    text = "\n".join(path.read_text() for path in DOCKERFILES.glob("Dockerfile*"))
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    for pod in pods(objects):
        for container in pod.containers:
            found = re.search(r"(?:^|/)parley/([^:@]+)", container["image"])
            if found and found[1] not in targets:
                yield f"{pod.name}: no Dockerfile has a target {found[1]}"


def pinned(objects: list[Object]) -> Iterator[str]:
    """For overlays: every image says which."""
    for pod in pods(objects):
        for container in pod.containers:
            name = container["image"].rpartition("/")[2]
            if "@sha256:" not in name and (":" not in name or name.endswith(":latest")):
                yield f"{pod.name}: {container['image']} is not pinned"


def _selector(item: Object) -> Object:
    spec = item["spec"]
    if item["kind"] == "Service":
        return {"matchLabels": spec.get("selector", {})}
    selector: Object = spec["podSelector"] if item["kind"] == "NetworkPolicy" else spec["selector"]
    return selector


def _selected(found: list[Pod], item: Object) -> list[Pod]:
    namespaces = item["spec"].get("namespaceSelector", {}).get("matchNames", [namespace_of(item)])
    return [pod for pod in found if pod.namespace in namespaces and matches(_selector(item), pod.labels)]


def _peers(policy: Object) -> Iterator[Object]:
    for rule in policy["spec"].get("ingress", []):
        yield from rule.get("from", [])
    for rule in policy["spec"].get("egress", []):
        yield from rule.get("to", [])


def made_secrets(objects: list[Object]) -> dict[tuple[str, str], tuple[str, ...]]:
    """The keys of all Secrets, by (namespace, name)."""
    made = {**SECRETS, **COPIES}
    for item in of_kind(objects, *MAKERS):
        name, keys = MAKERS[item["kind"]]
        made[namespace_of(item), item["spec"].get("secretName") or name.format(item["metadata"]["name"])] = keys
    return made


def _missing_keys(made: dict[tuple[str, str], tuple[str, ...]], namespace: str, volume: Object) -> Iterator[str]:
    name = volume["secretName"]
    if (namespace, name) not in made:
        yield f"nobody makes the Secret {name}"
        return
    for item in volume.get("items", []):
        if item["key"] not in made[namespace, name]:
            yield f"the Secret {name} has no {item['key']}"


RULES: tuple[Rule, ...] = (
    unique_names,
    selectors,
    ports,
    scrapes,
    references,
    security,
    pod_security_of_namespaces,
    liveness,
    disruption,
    images,
)
