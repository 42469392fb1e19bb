"""The JSON API: each RPC that users call has one path, and the document says what the edge does."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2
from openapi_spec_validator import validate

from deploy.documents import read_yaml
from deploy.envoy import descriptors, openapi, refusals
from deploy.envoy.paths import PATHS, WITHOUT, operations
from deploy.envoy.render import MAX_REQUEST_BYTES, render
from deploy.envoy.validate import variants
from services.runtime.errors import DOMAIN
from services.runtime.grpc.connect import PROTOCOL_KEY
from services.runtime.grpc.server import MAX_REQUEST_BYTES as TAKEN_BY_SERVICES
from tests.support.client_rpcs import client_rpcs

DOCUMENT = openapi.document(descriptors.read())
RPCS = client_rpcs()


def test_every_rpc_that_users_call_has_a_path_or_a_reason_for_none() -> None:
    with_path = {f"{operation.service}/{operation.rpc}" for operation in operations()}
    assert with_path | set(WITHOUT) == set(RPCS)
    assert not with_path & set(WITHOUT)


def test_no_two_rpcs_have_one_path() -> None:
    shapes = [
        (operation.method, *("*" if "{" in part else part for part in operation.path.split("/")))
        for operation in operations()
    ]
    assert len(set(shapes)) == len(shapes)


def test_what_stands_in_a_path_is_a_plain_field_of_the_request() -> None:
    for operation in operations():
        fields = RPCS[f"{operation.service}/{operation.rpc}"].input_type.fields_by_name
        for name in operation.variables:
            assert fields[name].message_type is None, operation
            assert not fields[name].is_repeated, operation


@pytest.mark.parametrize("secret", ["token", "query", "sdp_offer", "download_url"])
def test_nothing_secret_stands_in_a_path_or_a_query(secret: str) -> None:
    for operation in operations():
        fields = RPCS[f"{operation.service}/{operation.rpc}"].input_type.fields_by_name
        exposed = operation.variables if operation.has_body else list(fields)
        # A page's token opens nothing, and an event's id is good for its device's owner alone.
        assert not [name for name in exposed if name.endswith(secret) and name != "page_token"], operation


def test_envoy_reads_the_paths_and_nothing_of_what_users_may_not_call() -> None:
    found = FileDescriptorSet.FromString(descriptors.for_envoy())
    annotated = {
        f"{file.package}.{service.name}/{method.name}"
        for file in found.file
        for service in file.service
        for method in service.method
        if method.options.HasExtension(annotations_pb2.http)
    }
    assert annotated == {f"{operation.service}/{operation.rpc}" for operation in operations()}
    assert not any(file.HasField("source_code_info") for file in found.file)


def test_the_document_is_openapi_and_has_every_path() -> None:
    validate(DOCUMENT)
    described = {operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()}
    assert described == {operation.rpc for operation in operations()}


def test_the_document_says_what_the_protos_say() -> None:
    send = DOCUMENT["paths"]["/v1/conversations/{conversationId}/messages"]["post"]
    assert send["summary"] == "Appends a message."
    assert "CONVERSATION_NOT_FOUND" in send["description"]
    assert send["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/SendMessageRequest")
    body = DOCUMENT["components"]["schemas"]["SendMessageRequest"]["properties"]
    assert "conversationId" not in body
    assert body["replyToSeq"] == {
        "type": "string",
        "format": "int64",
        "description": "The message that this one answers; 0 for none.",
    }
    assert DOCUMENT["components"]["schemas"]["Message"]["properties"]["sendTime"]["format"] == "date-time"
    assert "MEMBER_ROLE_OWNER" in DOCUMENT["components"]["schemas"]["MemberRole"]["enum"]


def test_events_are_described_though_no_answer_names_them() -> None:
    events = DOCUMENT["paths"]["/v1/events"]["get"]
    assert list(events["responses"]["200"]["content"]) == ["text/event-stream"]
    assert {parameter["name"] for parameter in events["parameters"]} == {"deviceId", "lastEventId", "Last-Event-ID"}
    assert "ready" in DOCUMENT["components"]["schemas"]["DeviceEvent"]["properties"]


def test_no_type_is_named_that_is_not_described() -> None:
    text = json.dumps(DOCUMENT)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(DOCUMENT["components"]["schemas"])


def manager(name: str) -> dict[str, Any]:
    values = variants(Path("tls.crt"), Path("tls.key"))[name]
    document = read_yaml(render(values, Path("/etc/parley")))
    chain = document["static_resources"]["listeners"][0]["filter_chains"][0]
    return chain["filters"][0]["typed_config"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["embedded", "kubernetes"])
def test_every_protocol_is_grpc_before_buckets_and_tokens_are_looked_at(name: str) -> None:
    order = [entry["name"].removeprefix("envoy.filters.http.") for entry in manager(name)["http_filters"]]
    translated = ["grpc_web", "connect_grpc_bridge", "body_size_limit", "grpc_json_transcoder"]
    assert order == ["cors", *translated, "local_ratelimit.address", "jwt_authn", "local_ratelimit.user", "router"]


def test_connect_is_left_out_where_it_is_not_wanted() -> None:
    text = render(replace(variants(Path("tls.crt"), Path("tls.key"))["kubernetes"], connect=False), Path("/etc/parley"))
    assert "connect_grpc_bridge" not in text
    assert "grpc_json_transcoder" in text


def test_the_edge_takes_as_much_of_a_request_as_the_services() -> None:
    assert MAX_REQUEST_BYTES == TAKEN_BY_SERVICES


def test_every_service_with_paths_has_a_route_that_keeps_the_type_of_the_client() -> None:
    routes = manager("kubernetes")["route_config"]["virtual_hosts"][0]["routes"]
    for service in PATHS:
        fitting = [
            route
            for route in routes
            if (route["match"].get("prefix", "") + route["match"].get("path", "")).startswith(f"/{service}/")
        ]
        assert fitting, service
        assert all(route["response_headers_to_add"][0]["header"]["key"] == "content-type" for route in fitting)


def test_no_client_says_by_which_protocol_it_came() -> None:
    (extension,) = manager("kubernetes")["early_header_mutation_extensions"]
    changes = extension["typed_config"]["mutations"]
    (told,) = [change["append"] for change in changes if "append" in change]
    assert told["header"]["key"] == PROTOCOL_KEY == refusals.PROTOCOL_HEADER
    assert told["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"


def test_the_edges_own_refusals_have_reasons_in_both_forms_of_json() -> None:
    assert refusals.DOMAIN == DOMAIN
    bodies = [mapper["body_format_override"]["json_format"] for mapper in refusals.mappers()]
    plain, connect = bodies[::2], bodies[1::2]
    for refusal, status, error in zip(refusals.REFUSALS, plain, connect, strict=True):
        assert (status["code"], status["details"][0]["reason"]) == (refusal.code, refusal.reason)
        info = error_details_pb2.ErrorInfo()
        value = error["details"][0]["value"]
        info.ParseFromString(base64.b64decode(value + "=" * (-len(value) % 4)))
        assert (error["code"], error["details"][0]["type"], info.reason) == (
            refusal.name,
            "google.rpc.ErrorInfo",
            refusal.reason,
        )
    limited = next(status for status in plain if status["details"][0]["reason"] == "RATE_LIMITED")
    assert limited["details"][1]["retryDelay"] == "1s"


def test_a_body_that_stops_in_the_middle_is_refused_in_json_too() -> None:
    """Envoy's answer to a stream that is idle before its request is whole."""
    assert "stream_idle_timeout" in manager("kubernetes")
    (stalled,) = [refusal for refusal in refusals.REFUSALS if refusal.http == 408]
    assert (stalled.code, stalled.reason) == (4, "DEADLINE_EXCEEDED")


def test_a_page_of_an_allowed_origin_may_use_every_method_and_come_back_to_its_events() -> None:
    (host,) = manager("kubernetes")["route_config"]["virtual_hosts"]
    policy = host["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert {operation.method for operation in operations()} <= set(policy["allow_methods"].split(", "))
    assert {"authorization", "content-type", "last-event-id"} <= set(policy["allow_headers"].split(", "))
