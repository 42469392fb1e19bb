"""The values of the edge's configuration: meaning, defaults, and how they are read from the environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import PurePath
from urllib.parse import urlsplit

from services.runtime.clock import CLOCK_SKEW_S

_ENDPOINT = re.compile(r"[A-Za-z0-9.-]+:[0-9]{1,5}")
# Services that an installation may do without.
_OPTIONAL = ("push", "previews")
# Nothing that could leave the place in the YAML where it is put.
_UNSAFE = re.compile(r"[\"'\n\r]")

# The promise: a key that the issuer publishes so long before it signs with it is known everywhere by then. It takes
# the time of the edge's cache, a fetch of 2 s, and once more after a failed one.
NEW_KEY_NOTICE_S = 20


class ValuesError(Exception):
    """Values are missing or malformed; the text names all of them."""


@dataclass(frozen=True)
class EdgeValues:
    """Read from `PARLEY_EDGE_<FIELD>`. Endpoints are `host:port[,host:port...]`; a name is resolved again and again."""

    # The gateways, `host:port`, separated by commas.
    gateway: str
    # Messaging, `host:port`, separated by commas.
    messaging: str
    # Signaling, `host:port`, separated by commas.
    signaling: str
    # The web client's server, `host:port`, separated by commas.
    web: str
    # Where the key set of the social network is; its host is what Envoy connects to.
    jwks_url: str
    # The `iss` of the network's tokens.
    jwt_issuer: str
    # The `aud` of the network's tokens.
    jwt_audience: str = "parley"
    # Envoy fetches the keys again after this time and at no other: a token of an unknown key is refused until then.
    # Longer spares the issuer; shorter learns a new key sooner. See NEW_KEY_NOTICE_S.
    jwks_cache_s: int = 10
    # The address on which the edge listens.
    listen_host: str = "0.0.0.0"  # noqa: S104 - in a container this is the pod's own address
    # The port on which the edge listens.
    listen_port: int = 8080
    # Envoy's own admin interface, on loopback.
    admin_port: int = 9901
    # Where probes and scrapes come, and nothing else of the admin's: /ready and /metrics. 0 is nowhere.
    metrics_port: int = 0
    # Serves /dev/ from the issuer's host: only with the development issuer, and never with a certificate.
    dev_login: bool = False
    # Both or none, in one folder, which Envoy watches: it follows files that are moved there, as in a mounted Secret.
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    # Mutual TLS to the services (services/runtime/grpc/tls.py), PEM: all three files or none; they are followed too.
    upstream_certificate_file: str = ""
    upstream_key_file: str = ""
    upstream_ca_file: str = ""
    # The bundle that an https issuer is checked against.
    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"
    # Which pages of other origins may call the API; the default is none.
    cors_origin_regex: str = "^$"
    # Takes Connect. Envoy's filter for it is work in progress, which its security team does not look after;
    # without it, Connect clients are refused and all others are served.
    connect: bool = True
    # How many proxies in front of this one tell the truth about the client's address.
    trusted_proxies: int = 0
    # Requests a second, and at once, of one address, before the token is looked at: an IPv4 address, or a /64 of IPv6.
    # Raising it lets one machine take more of this Envoy; lowering it refuses people who share one address of a mobile
    # network.
    address_rate_per_s: int = 500
    address_rate_burst: int = 2_000
    # The same of one user, after it. Raising it lets more reach the services, which have limits of their own; lowering
    # it makes devices wait that log in with a large account.
    user_rate_per_s: int = 500
    user_rate_burst: int = 2_000
    # Addresses, and users, whose bucket is remembered; the one not seen for longest is forgotten. Raising it takes
    # memory, about 1 KiB each; lowering it lets a client with many addresses begin anew with each sooner.
    rate_limit_entries: int = 20_000
    # What all users together may ask of one Envoy, a second and at once: the last guard. Raising it moves the limit to
    # the services; lowering it refuses honest bursts.
    rate_limit_per_s: int = 5_000
    rate_limit_burst: int = 10_000
    # Connections of all clients together. Raising it costs memory; lowering it turns clients away earlier.
    max_connections: int = 50_000
    # Memory at which Envoy refuses new work.
    max_heap_bytes: int = 1_073_741_824
    # Shorter notices a dead service sooner; each replica is asked that often by each edge.
    health_interval_s: int = 5
    # Push, `host:port`, separated by commas. Empty: nothing is sent to sleeping devices, and its RPCs are not there.
    push: str = ""
    # Previews, `host:port`, separated by commas. Empty: no link has a preview, and its RPC is not there.
    previews: str = ""


def from_env(env: Mapping[str, str]) -> EdgeValues:
    """The values of this environment. Raises ValuesError with all problems at once."""
    found: dict[str, object] = {}
    problems: list[str] = []
    for field in fields(EdgeValues):
        variable = f"PARLEY_EDGE_{field.name.upper()}"
        if variable in env:
            try:
                found[field.name] = _parse(str(field.type), env[variable])
            except ValueError as error:
                problems.append(f"{variable} {error}")
        elif field.name in ("gateway", "messaging", "signaling", "web", "jwks_url", "jwt_issuer"):
            problems.append(f"{variable} is missing")
    if problems:
        raise ValuesError("; ".join(problems))
    return EdgeValues(**found)  # type: ignore[arg-type]  # the fields' own types decided how each was parsed


def template_values(values: EdgeValues) -> dict[str, str]:
    """What stands behind each ${NAME} of the template. Raises ValuesError with all problems at once."""
    problems = _problems(values)
    if problems:
        raise ValuesError("; ".join(problems))
    issuer = urlsplit(values.jwks_url)
    port = issuer.port or (443 if issuer.scheme == "https" else 80)
    texts = {field.name.upper(): _text(getattr(values, field.name)) for field in fields(values)}
    for service in ("gateway", "messaging", "signaling", "web"):
        texts[f"{service.upper()}_ENDPOINTS"] = _endpoints(getattr(values, service))
    for service in _OPTIONAL:
        addresses = getattr(values, service)
        texts[f"{service.upper()}_ENDPOINTS"] = _endpoints(addresses) if addresses else "[]"
        texts[f"{service.upper()}_SERVED"] = _text(bool(addresses))
    return {
        **texts,
        # One value for the edge and the services.
        "CLOCK_SKEW_S": str(CLOCK_SKEW_S),
        "ISSUER_ENDPOINTS": _endpoints(f"{issuer.hostname}:{port}"),
        "ISSUER_HOST": issuer.hostname or "",
        "ISSUER_TLS": _text(issuer.scheme == "https"),
        "METRICS": _text(values.metrics_port > 0),
        "TLS": _text(bool(values.tls_certificate_file)),
        "UPSTREAM_TLS": _text(bool(values.upstream_certificate_file)),
    }


def _problems(values: EdgeValues) -> list[str]:
    problems = [
        f"{name} must be host:port[,host:port...], not {getattr(values, name)!r}"
        for name in ("gateway", "messaging", "signaling", "web", *filter(partial(getattr, values), _OPTIONAL))
        if not all(_ENDPOINT.fullmatch(endpoint) for endpoint in getattr(values, name).split(","))
    ]
    issuer = urlsplit(values.jwks_url)
    if issuer.scheme not in ("http", "https") or not issuer.hostname:
        problems.append(f"jwks_url must be an http or https address, not {values.jwks_url!r}")
    if bool(values.tls_certificate_file) != bool(values.tls_key_file):
        problems.append("tls_certificate_file and tls_key_file go together")
    elif PurePath(values.tls_certificate_file).parent != PurePath(values.tls_key_file).parent:
        problems.append("tls_certificate_file and tls_key_file must be in one folder")
    upstream = (values.upstream_certificate_file, values.upstream_key_file, values.upstream_ca_file)
    if any(upstream) and not all(upstream):
        problems.append("upstream_certificate_file, upstream_key_file and upstream_ca_file go together")
    elif PurePath(values.upstream_certificate_file).parent != PurePath(values.upstream_key_file).parent:
        problems.append("upstream_certificate_file and upstream_key_file must be in one folder")
    if values.dev_login and values.tls_certificate_file:
        # A certificate says that strangers come here, and the development login lets in whoever asks.
        problems.append("dev_login and tls_certificate_file exclude each other: a development login needs no password")
    for field in fields(values):
        if _UNSAFE.search(str(getattr(values, field.name))):
            problems.append(f"{field.name} holds a quote or a line end")
    return problems


def _parse(kind: str, text: str) -> object:
    if kind == "int":
        if not text.isdecimal():
            raise ValueError(f"must be a whole number, not {text!r}")
        return int(text)
    if kind == "bool":
        if text not in ("true", "false"):
            raise ValueError(f"must be true or false, not {text!r}")
        return text == "true"
    return text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _endpoints(addresses: str) -> str:
    # JSON is YAML too.
    parts = [address.rpartition(":") for address in addresses.split(",")]
    return json.dumps(
        [
            {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
            for host, _, port in parts
        ]
    )
