"""From a workload's manifest to the pod that podman runs: what is kept, resolved and left out."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from deploy.k8s.objects import Object, load_base
from deploy.k8s.podman.cluster import DATABASE_TLS, OVER, SERVICES
from deploy.k8s.podman.transform import TransformError, names_of, pod, pre_stop, workload
from deploy.k8s.secrets import manifests

BASE = load_base()
SECRETS: Any = {(item["metadata"]["namespace"], item["metadata"]["name"]): item["stringData"] for item in manifests()}  # type: ignore[index]
IP = "10.0.0.7"


def play(name: str, over: dict[str, str] | None = None) -> Object:
    return pod(BASE, workload(BASE, name), f"parley-{name}-1", IP, SECRETS, OVER if over is None else over)


def env_of(manifest: Object) -> dict[str, str]:
    return {item["name"]: item["value"] for item in manifest["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("name", SERVICES)
def test_what_confines_a_container_is_kept(name: str) -> None:
    given = workload(BASE, name)["spec"]["template"]["spec"]
    made = play(name)["spec"]
    assert made["securityContext"] == given["securityContext"]
    for container, original in zip(made["containers"], given["containers"], strict=True):
        assert container["securityContext"] == original["securityContext"]
        assert container["resources"]["limits"] == original["resources"]["limits"]
        assert container["image"] == f"localhost/{original['image']}"


@pytest.mark.parametrize("name", SERVICES)
def test_what_podman_lacks_is_left_out(name: str) -> None:
    text = str(play(name))
    for key in ("Probe", "containerPort", "hostPort", "lifecycle", "serviceAccount", "valueFrom", "secretRef", "$("):
        assert key not in text, key


def test_addresses_secrets_and_the_pods_own_fields_are_values() -> None:
    env = env_of(play("sfu"))
    assert env["PARLEY_SFU_GRPC_ADVERTISED"] == f"{IP}:7000"
    assert env["PARLEY_SFU_WORKER_ID"] == "parley-sfu-1"
    assert env_of(play("gateway"))["PARLEY_RESUME_KEY"] == SECRETS["parley", "parley-resume"]["key"]
    password = SECRETS["parley", "parley-postgres-messaging"]["password"]
    assert f":{password}@parley-postgres-rw" in env_of(play("messaging"))["PARLEY_DATABASE_URL"]


def test_settings_of_the_broker_go_to_those_who_speak_to_it_and_emptied_ones_go() -> None:
    assert env_of(play("messaging"))["PARLEY_KAFKA_IDEMPOTENT"] == "false"
    edge = play("edge")["spec"]["initContainers"][0]
    names = {item["name"] for item in edge["env"]}
    assert "PARLEY_KAFKA_IDEMPOTENT" not in names
    assert "PARLEY_EDGE_TLS_KEY_FILE" not in names
    assert "PARLEY_EDGE_GATEWAY" in names


def test_certificates_are_left_out_with_their_mounts() -> None:
    spec = play("edge")["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["parley-edge-1-config"]


def test_keys_are_mounted_and_the_media_workers_get_public_ones_only() -> None:
    volumes = {
        name: [volume.get("hostPath", {}).get("path") for volume in play(name)["spec"]["volumes"]]
        for name in ("sfu", "gateway")
    }
    assert volumes["sfu"] == ["/run/parley-secrets/parley-media/parley-service-keys"]
    assert volumes["gateway"] == [
        "/run/parley-secrets/parley/parley-service-keys",
        "/run/parley-secrets/parley/parley-key-gateway",
    ]


def test_what_a_container_does_before_it_is_stopped_is_known() -> None:
    ((name, command),) = pre_stop(workload(BASE, "edge")["spec"]["template"]["spec"])
    assert (name, command[:2]) == ("envoy", ["bash", "-c"])
    assert pre_stop(workload(BASE, "messaging")["spec"]["template"]["spec"]) == []
    with pytest.raises(TransformError, match="preStop"):
        pre_stop({"containers": [{"name": "a", "lifecycle": {"preStop": {"httpGet": {"port": 80}}}}]})


def test_an_empty_volume_is_the_pods_own_and_is_mounted_where_it_was() -> None:
    given, spec = workload(BASE, "edge")["spec"]["template"]["spec"], play("edge")["spec"]
    for kind in ("containers", "initContainers"):
        (mount,) = spec[kind][0]["volumeMounts"]
        assert mount["name"] == spec["volumes"][0]["name"]
        assert {**mount, "name": "config"} in given[kind][0]["volumeMounts"]


@pytest.mark.parametrize("name", ["messaging", "presence", "signaling", "sfu"])
def test_the_stores_beside_are_spoken_to_in_clear(name: str) -> None:
    text = yaml.safe_dump(play(name)).replace(DATABASE_TLS, "")
    for word in ("KAFKA_TLS", "_CA_FILE", "9093", "/etc/kafka", "/etc/postgres", "sslmode"):
        assert word not in text, word


def test_a_pod_goes_by_the_names_of_its_services() -> None:
    assert names_of(BASE, workload(BASE, "presence")) == ["presence", "presence.parley"]


def test_a_job_runs_once_and_a_service_for_ever() -> None:
    assert play("migrate-messaging")["spec"]["restartPolicy"] == "Never"
    assert play("messaging")["spec"]["restartPolicy"] == "Always"


def test_an_init_container_that_has_done_its_work_is_not_started_again() -> None:
    assert play("edge")["spec"]["restartPolicy"] == "OnFailure"


def test_what_is_referred_to_and_is_not_there_is_said() -> None:
    with pytest.raises(TransformError, match="Secret parley-postgres-messaging"):
        pod(BASE, workload(BASE, "messaging"), "p", IP, {}, {})
    with pytest.raises(TransformError, match="no workload"):
        workload(BASE, "nothing")
