"""The edge's configuration from its values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.documents import read_yaml
from deploy.envoy.render import render, write
from deploy.envoy.validate import variants
from deploy.envoy.values import NEW_KEY_NOTICE_S, EdgeValues, ValuesError, from_env
from services.runtime.clock import CLOCK_SKEW_S

VARIANTS = variants(Path("tls.crt"), Path("tls.key"))
FOLDER = Path("/etc/parley")
EMBEDDED = VARIANTS["embedded"]
NEEDED = {
    "PARLEY_EDGE_GATEWAY": "gateway:7000",
    "PARLEY_EDGE_MESSAGING": "messaging:7000",
    "PARLEY_EDGE_SIGNALING": "signaling:7000",
    "PARLEY_EDGE_WEB": "web:8080",
    "PARLEY_EDGE_JWKS_URL": "https://login.example.com/jwks.json",
    "PARLEY_EDGE_JWT_ISSUER": "https://login.example.com/",
}


def parse(values: EdgeValues) -> dict[str, Any]:
    document: dict[str, Any] = read_yaml(render(values, FOLDER))
    return document["static_resources"]  # type: ignore[no-any-return]


def routes(values: EdgeValues) -> list[dict[str, Any]]:
    chain = parse(values)["listeners"][0]["filter_chains"][0]
    manager = chain["filters"][0]["typed_config"]
    return manager["route_config"]["virtual_hosts"][0]["routes"]  # type: ignore[no-any-return]


def cluster(values: EdgeValues, name: str) -> dict[str, Any]:
    return next(cluster for cluster in parse(values)["clusters"] if cluster["name"] == name)


def jwt_provider(values: EdgeValues) -> dict[str, Any]:
    manager = parse(values)["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    found = next(entry for entry in manager["http_filters"] if entry["name"].endswith("jwt_authn"))
    return found["typed_config"]["providers"]["network"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", VARIANTS)
def test_the_edge_has_the_leeway_of_the_services(name: str) -> None:
    assert jwt_provider(VARIANTS[name])["clock_skew_seconds"] == CLOCK_SKEW_S


def test_the_edge_knows_a_new_key_within_the_promised_time() -> None:
    provider = jwt_provider(from_env(NEEDED))["remote_jwks"]
    assert "async_fetch" in provider
    seconds = [
        float(text.removesuffix("s"))
        for text in (
            provider["cache_duration"],
            provider["http_uri"]["timeout"],
            provider["async_fetch"]["failed_refetch_duration"],
            provider["http_uri"]["timeout"],
        )
    ]
    assert sum(seconds) < NEW_KEY_NOTICE_S


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_of_the_template_is_left_over(name: str) -> None:
    text = render(VARIANTS[name], FOLDER)
    assert "${" not in text
    assert "#if" not in text
    assert "#end" not in text


def test_development_login_is_routed_only_when_it_is_switched_on() -> None:
    assert any(route["match"].get("prefix") == "/dev/" for route in routes(EMBEDDED))
    assert not any(route["match"].get("prefix") == "/dev/" for route in routes(replace(EMBEDDED, dev_login=False)))


def test_rpc_that_no_route_names_never_reaches_the_web_service() -> None:
    # However it is asked: those with conditions are beside the point.
    for_all = [route for route in routes(EMBEDDED) if "headers" not in route["match"]]
    prefixes = [route["match"].get("prefix") for route in for_all]
    assert prefixes.index("/parley.") < prefixes.index("/")
    refused = for_all[prefixes.index("/parley.")]
    assert refused["direct_response"]["status"] == 404


def test_event_stream_has_no_time_limit() -> None:
    stream = next(route for route in routes(EMBEDDED) if route["match"].get("path", "").endswith("/Subscribe"))
    assert stream["route"]["timeout"] == "0s"
    assert stream["route"]["idle_timeout"] == "0s"


def test_each_replica_of_a_service_is_an_endpoint() -> None:
    values = replace(EMBEDDED, messaging="10.0.0.1:7000,10.0.0.2:7001")
    endpoints = cluster(values, "messaging")["load_assignment"]["endpoints"][0]["lb_endpoints"]
    addresses = [endpoint["endpoint"]["address"]["socket_address"] for endpoint in endpoints]
    assert addresses == [{"address": "10.0.0.1", "port_value": 7000}, {"address": "10.0.0.2", "port_value": 7001}]


def test_certificate_switches_tls_on() -> None:
    chain = parse(VARIANTS["kubernetes"])["listeners"][0]["filter_chains"][0]
    assert chain["transport_socket"]["name"] == "envoy.transport_sockets.tls"
    assert "transport_socket" not in parse(EMBEDDED)["listeners"][0]["filter_chains"][0]


def test_the_certificate_comes_from_a_source_that_follows_its_folder(tmp_path: Path) -> None:
    """Envoy reads files that the listener itself names once, at its start."""
    config = read_yaml(write(VARIANTS["kubernetes"], tmp_path).read_text())
    socket = config["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"]["typed_config"]
    assert "tls_certificates" not in socket["common_tls_context"]
    source = socket["common_tls_context"]["tls_certificate_sds_secret_configs"][0]
    resource = read_yaml(Path(source["sds_config"]["path_config_source"]["path"]).read_text())["resources"][0]
    assert resource["name"] == source["name"]
    certificate = resource["tls_certificate"]
    watched = certificate["watched_directory"]["path"]
    assert {Path(certificate[part]["filename"]).parent for part in ("certificate_chain", "private_key")} == {
        Path(watched)
    }


def test_without_a_certificate_there_is_the_configuration_and_what_the_json_api_is_made_of(tmp_path: Path) -> None:
    assert write(EMBEDDED, tmp_path).name == "envoy.yaml"
    assert {path.name for path in tmp_path.iterdir()} == {"envoy.yaml", "descriptors.pb", "openapi.json"}


def test_key_set_behind_https_is_fetched_with_a_checked_name() -> None:
    socket = cluster(VARIANTS["kubernetes"], "issuer")["transport_socket"]["typed_config"]
    assert socket["sni"] == "login.example.com"
    assert "transport_socket" not in cluster(EMBEDDED, "issuer")


def test_values_come_from_the_environment() -> None:
    values = from_env({**NEEDED, "PARLEY_EDGE_LISTEN_PORT": "8443", "PARLEY_EDGE_DEV_LOGIN": "true"})
    assert (values.gateway, values.listen_port, values.dev_login) == ("gateway:7000", 8443, True)


def test_all_missing_and_malformed_variables_are_named_at_once() -> None:
    with pytest.raises(ValuesError) as caught:
        from_env({"PARLEY_EDGE_LISTEN_PORT": "many", "PARLEY_EDGE_DEV_LOGIN": "yes"})
    for variable in (*NEEDED, "PARLEY_EDGE_LISTEN_PORT", "PARLEY_EDGE_DEV_LOGIN"):
        assert variable in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"gateway": "no-port"},
        {"messaging": "a:1,,b:2"},
        {"jwks_url": "file:///etc/passwd"},
        {"tls_key_file": "only.key"},
        {"tls_certificate_file": "/etc/one/tls.crt", "tls_key_file": "/etc/other/tls.key"},
        {"jwt_issuer": 'x"\n  evil: true'},
    ],
)
def test_value_that_would_break_the_configuration_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValuesError):
        render(replace(EMBEDDED, **change), FOLDER)  # type: ignore[arg-type]


def test_probes_and_scrapes_reach_two_pages_of_the_admin_and_nothing_else() -> None:
    listener = parse(VARIANTS["kubernetes"])["listeners"][1]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    paths = [route["match"]["path"] for route in manager["route_config"]["virtual_hosts"][0]["routes"]]
    assert paths == ["/ready", "/metrics"]
    assert [listener["name"] for listener in parse(EMBEDDED)["listeners"]] == ["edge"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_call_of_users_goes_by_the_ring_to_the_replica_that_counts_for_them(name: str) -> None:
    for route in routes(VARIANTS[name]):
        target = route.get("route", {}).get("cluster")
        if target in ("gateway", "messaging", "signaling"):
            assert route["route"]["hash_policy"] == [{"header": {"header_name": "x-parley-user"}}]
            assert cluster(VARIANTS[name], target)["lb_policy"] == "RING_HASH"
            # A balance factor would spread a user who floods over many replicas.
            assert "consistent_hashing_lb_config" not in cluster(VARIANTS[name], target)["common_lb_config"]


@pytest.mark.parametrize("name", VARIANTS)
def test_the_address_is_asked_before_the_token_and_the_user_after_it(name: str) -> None:
    manager = parse(VARIANTS[name])["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    names = [entry["name"].rpartition(".")[2] for entry in manager["http_filters"]]
    assert names.index("address") < names.index("jwt_authn") < names.index("user") < names.index("router")


def test_a_certificate_and_the_development_login_exclude_each_other() -> None:
    with pytest.raises(ValuesError, match="development login"):
        render(replace(VARIANTS["kubernetes"], dev_login=True), FOLDER)


def test_browsers_are_told_to_come_by_tls_alone_where_there_is_tls() -> None:
    def headers(name: str) -> list[str]:
        chain = parse(VARIANTS[name])["listeners"][0]["filter_chains"][0]
        added = chain["filters"][0]["typed_config"]["route_config"].get("response_headers_to_add", [])
        return [entry["header"]["key"] for entry in added]

    assert headers("kubernetes") == ["strict-transport-security"]
    assert headers("embedded") == []


SERVICES = ("gateway", "messaging", "signaling", "push", "previews")


@pytest.mark.parametrize("service", SERVICES)
def test_each_upstream_is_held_against_its_own_name_over_mutual_tls(service: str, tmp_path: Path) -> None:
    values = VARIANTS["kubernetes"]
    write(values, tmp_path)
    found = next(
        each
        for each in read_yaml((tmp_path / "envoy.yaml").read_text())["static_resources"]["clusters"]
        if each["name"] == service
    )["transport_socket"]["typed_config"]
    common = found["common_tls_context"]
    validation = common["combined_validation_context"]
    (name,) = validation["default_validation_context"]["match_typed_subject_alt_names"]
    assert (found["sni"], name) == (service, {"san_type": "DNS", "matcher": {"exact": service}})
    shown = source_of(common["tls_certificate_sds_secret_configs"][0])["tls_certificate"]
    believed = source_of(validation["validation_context_sds_secret_config"])["validation_context"]
    assert shown["private_key"]["filename"] == values.upstream_key_file
    assert believed["trusted_ca"]["filename"] == values.upstream_ca_file
    assert all("watched_directory" in each for each in (shown, believed))


def source_of(config: dict[str, Any]) -> dict[str, Any]:
    """The one secret to which a configuration of secret discovery leads."""
    (resource,) = read_yaml(Path(config["sds_config"]["path_config_source"]["path"]).read_text())["resources"]
    assert resource["name"] == config["name"]
    return resource  # type: ignore[no-any-return]


@pytest.mark.parametrize("service", SERVICES)
def test_upstreams_are_spoken_to_in_clear_text_where_no_certificate_is_set(service: str) -> None:
    assert "transport_socket" not in cluster(EMBEDDED, service)


@pytest.mark.parametrize("missing", ["upstream_certificate_file", "upstream_key_file", "upstream_ca_file"])
def test_mutual_tls_to_upstreams_that_is_half_set_is_refused(missing: str) -> None:
    """Without its authority, Envoy would take anybody's certificate."""
    with pytest.raises(ValuesError, match="go together"):
        render(replace(VARIANTS["kubernetes"], **{missing: ""}), FOLDER)


def test_the_upstreams_certificate_and_key_are_in_one_folder_that_is_watched() -> None:
    with pytest.raises(ValuesError, match="in one folder"):
        render(replace(VARIANTS["kubernetes"], upstream_key_file="/elsewhere/tls.key"), FOLDER)


@pytest.mark.parametrize(("part", "service"), [("push", "NotificationsService"), ("previews", "PreviewsService")])
def test_an_edge_without_a_part_has_no_route_to_it(part: str, service: str) -> None:
    without = render(replace(VARIANTS["kubernetes"], **{part: ""}), FOLDER)
    assert f"{service}/" not in without
    assert f"{service}/" in render(VARIANTS["kubernetes"], FOLDER)
    (left,) = [each for each in read_yaml(without)["static_resources"]["clusters"] if each["name"] == part]
    assert left["load_assignment"]["endpoints"] == [{"lb_endpoints": []}]
