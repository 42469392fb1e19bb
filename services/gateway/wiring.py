"""Where the gateway's objects are built; tests build the same."""

import random
import secrets
from functools import partial

from services.gateway import rpc
from services.gateway.admin import Admin
from services.gateway.admission import Admission
from services.gateway.config import Config
from services.gateway.core.admission import SharedStreamRate, StreamsPerAddress
from services.gateway.core.queue import QueueLimits
from services.gateway.core.registry import Registry
from services.gateway.core.resume import GATEWAY_ID_BYTES, ResumeTokens
from services.gateway.membership import GrpcMembership
from services.gateway.rates import UserStreamRate, UserTypingRate
from services.gateway.service import Gateway
from services.gateway.streams import StreamPolicy, Streams
from services.gateway.uplink import PresenceUplinks
from services.runtime.clock import Clock, SystemClock
from services.runtime.grpc.channels import connect
from services.runtime.grpc.guard import admins
from services.runtime.grpc.server import RpcServer
from services.runtime.grpc.tls import Peer
from services.runtime.identity.accounts import Accounts, AccountsFeed
from services.runtime.identity.admin import admin_tokens
from services.runtime.identity.auth import ServiceTokens, UserTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.kafka.consumer import KafkaConsumer
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.kafka.subscription import Subscription
from services.runtime.lifecycle import App, Probe, Worker

ACCOUNTS_TOPIC = "accounts.events.v1"
# What is left of the grace for the statuses to be written.
_LAST_WRITES_S = 1.0


def build(config: Config) -> App:
    """The service, not started."""
    clock = SystemClock()
    service_tokens = ServiceTokens(ServiceKeys.of("gateway", config.server.identity), clock)
    instance = secrets.token_bytes(GATEWAY_ID_BYTES)
    gateway_id = f"gateway-{instance.hex()}"
    presence = Peer.of(config.server.tls, "presence")
    uplinks = PresenceUplinks(
        config.presence_addresses, gateway_id, lambda address: connect(address, service_tokens, presence)
    )
    registry = Registry(config.devices_per_user)
    streams = Streams(
        registry,
        uplinks,
        clock,
        ResumeTokens(config.resume_key, instance),
        random.random,
        stream_policy(config),
    )
    gateway = _gateway(config, registry, streams, service_tokens, clock)
    accounts = Accounts(clock, config.server.jwt_max_life_s)
    publisher = KafkaPublisher(config.kafka)
    feed = KafkaConsumer(
        config.kafka,
        Subscription((ACCOUNTS_TOPIC,), group=None),
        AccountsFeed(accounts, streams.account_changed).handle,
        publisher,
    )
    server = RpcServer(
        config.server,
        rpc.apis(gateway, Admin(gateway_id, registry, streams, clock)),
        rpc.ERRORS,
        service_tokens,
        UserTokens.of(config.server, clock, accounts),
        on_drain=streams.drain,
        admins=admins(admin_tokens(config.server.admin, clock)),
    )
    return App(
        [
            Worker("presence-uplinks", partial(uplinks.run, gateway), needed=True),
            Worker("streams", streams.run_ticks, needed=True),
            Worker("watch-lists", gateway.watch_lists.run),
            Probe("presence-route", gateway.ready),
            publisher,
            feed,
        ],
        server,
    )


def _gateway(
    config: Config, registry: Registry, streams: Streams, service_tokens: ServiceTokens, clock: Clock
) -> Gateway:
    admission = Admission(
        streams,
        SharedStreamRate(config.streams_per_s, config.streams_burst),
        UserStreamRate(config.user_streams_per_s, config.user_streams_burst),
        StreamsPerAddress(config.streams_per_address),
        clock,
        random.random,
    )
    messaging = Peer.of(config.server.tls, "messaging")
    membership = GrpcMembership(connect(config.messaging_address, service_tokens, messaging), clock)
    typing_rate = UserTypingRate(config.typing_per_s, config.typing_burst)
    return Gateway(registry, streams, admission, membership, typing_rate, clock)


def stream_policy(config: Config) -> StreamPolicy:
    """What of the configuration concerns the streams."""
    return StreamPolicy(
        heartbeat_s=config.heartbeat_s,
        queue=QueueLimits(
            frames=config.device_queue,
            bytes_=config.device_queue_bytes,
            replay_frames=config.replay_frames,
            replay_bytes=config.replay_bytes,
        ),
        max_devices=config.max_devices,
        route_wait_s=config.route_wait_s,
        resume_window_s=config.resume_window_s,
        drain_spread_s=config.drain_spread_s,
        drain_within_s=max(0.0, config.server.drain_grace_s - _LAST_WRITES_S),
    )
