"""Where the gateway's objects are built; tests build the same."""

import secrets

from services.gateway import rpc
from services.gateway.config import Config
from services.gateway.core import Registry
from services.gateway.membership import GrpcMembership
from services.gateway.service import Gateway
from services.gateway.uplink import PresenceUplinks
from services.runtime.auth import JwksKeys, ServiceTokens, UserTokens, http_jwks
from services.runtime.clock import SystemClock
from services.runtime.lifecycle import App, Probe, Worker
from services.runtime.rpc import RpcServer, connect


def build(config: Config) -> App:
    """The service, not started."""
    clock = SystemClock()
    tokens = ServiceTokens(config.server.service_key, "gateway", clock)
    uplinks = PresenceUplinks(
        config.presence_addresses, f"gateway-{secrets.token_hex(6)}", lambda address: connect(address, tokens)
    )
    gateway = Gateway(
        Registry(),
        uplinks,
        GrpcMembership(connect(config.messaging_address, tokens), clock),
        clock,
        heartbeat_s=config.heartbeat_s,
        queue_limit=config.device_queue,
        max_devices=config.max_devices,
        route_wait_s=config.route_wait_s,
    )
    keys = JwksKeys(http_jwks(config.server.jwks_url), clock)
    server = RpcServer(
        config.server,
        rpc.apis(gateway),
        rpc.ERRORS,
        tokens,
        UserTokens(keys, config.server.jwt_issuer, config.server.jwt_audience, clock),
        on_drain=gateway.drain,
    )
    workers = [Worker("presence-uplink", run) for run in uplinks.runners(gateway)]
    return App([*workers, Worker("heartbeats", gateway.run_heartbeats), Probe("presence-route", gateway.ready)], server)
