"""Where presence's objects are built; tests build the same."""

from services.presence import rpc
from services.presence.config import Config
from services.presence.consumer import TOPIC, Deliveries
from services.presence.core import Router
from services.presence.service import Presence
from services.runtime.auth import ServiceTokens
from services.runtime.bus import KafkaConsumer, KafkaPublisher, Subscription
from services.runtime.clock import SystemClock
from services.runtime.lifecycle import App, Worker
from services.runtime.rpc import RpcServer


def build(config: Config) -> App:
    """The service, not started."""
    clock = SystemClock()
    presence = Presence(Router(config.offline_delay_s), clock, config.collect_s)
    publisher = KafkaPublisher(config.kafka)
    consumer = KafkaConsumer(
        config.kafka,
        Subscription(TOPIC, "presence"),
        Deliveries(presence).handle,
        publisher,
        listener=presence,
        essential=True,
    )
    tokens = ServiceTokens(config.server.service_key, "presence", clock)
    server = RpcServer(config.server, rpc.apis(presence, config.gateway_queue), rpc.ERRORS, tokens)
    return App([publisher, Worker("presence-timers", presence.run_timers), consumer], server)
