"""Where the SFU's objects are built; tests build the same."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import timedelta

import structlog

from services.runtime.clock import Clock, SystemClock
from services.runtime.grpc.server import RpcServer
from services.runtime.identity.auth import ServiceTokens
from services.runtime.identity.service_keys import ServiceKeys
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Publisher
from services.runtime.kafka.producer import KafkaPublisher
from services.runtime.lifecycle import App, Part, Worker
from services.sfu import rpc, worker
from services.sfu.config import Config
from services.sfu.metrics import PrometheusMetrics
from services.sfu.pod.parent import wait_for_orphanhood
from services.sfu.publisher import Announcer, KafkaEvents
from services.sfu.service import Sfu
from services.sfu.tcp import TcpPort
from services.sfu.tokens import JwtJoinTokens
from services.sfu.traces import TracedEvents
from services.sfu.worker import MediaWorker

log = structlog.get_logger()


@dataclass(frozen=True)
class Services:
    """The objects of one worker, not started."""

    sfu: Sfu
    media: MediaWorker
    tcp: TcpPort
    events: KafkaEvents
    announcer: Announcer


class DrainingServer(RpcServer):
    """Waits for running calls before it stops: until then, Remove and EndCall must reach the worker."""

    def __init__(self, config: Config, services: Services, tokens: ServiceTokens, clock: Clock) -> None:
        super().__init__(config.server, rpc.apis(services.sfu), rpc.ERRORS, tokens)
        self._drain_s = config.drain_s
        self._services = services
        self._clock = clock

    async def stop(self) -> None:
        """Refuse joins, say so, wait for the calls, then drain as every server does."""
        self._services.sfu.start_draining(self._clock.now() + timedelta(seconds=self._drain_s))
        await asyncio.gather(self._services.announcer.announce(), self._services.sfu.wait_until_empty(self._drain_s))
        await super().stop()


def build_services(config: Config, publisher: Publisher, clock: Clock) -> Services:
    """The worker on any publisher. Raises OSError when the media port is taken."""
    metrics = PrometheusMetrics()
    events = KafkaEvents(publisher, config.node.worker_id, clock, new_id)
    tcp = TcpPort(config.media.tcp, lambda: media.address, metrics)
    traced = TracedEvents(events)
    media = MediaWorker(config.media, traced, metrics, clock, secrets.token_bytes, tcp.port, config.video_codecs)
    tokens = JwtJoinTokens(ServiceKeys.of("sfu", config.server.identity), config.node.worker_id, clock)
    sfu = Sfu(media, tokens, metrics, config.node.max_participants, traced.admitted)
    announcer = Announcer(
        publisher,
        config.node,
        clock,
        participant_count=lambda: sfu.participant_count,
        is_draining=lambda: sfu.is_draining,
        drain_deadline=lambda: sfu.drain_deadline,
        media_address=media.media_address,
    )
    return Services(sfu, media, tcp, events, announcer)


def build(config: Config) -> App:
    """The service, not started."""
    clock = SystemClock()
    kafka = KafkaPublisher(config.kafka)
    services = build_services(config, kafka, clock)
    tokens = ServiceTokens(ServiceKeys.of("sfu", config.server.identity), clock)
    server = DrainingServer(config, services, tokens, clock)
    ticks = Worker("media-ticks", services.media.run, needed=True)
    services.media.collector.begin()
    log.info("media_path", compiled=not worker.__file__.endswith(".py"))
    parts: list[Part] = [kafka, services.announcer, services.events, services.media, services.tcp, ticks]
    if config.is_supervised:
        parts.append(Worker("parent", wait_for_orphanhood))
    return App(parts, server)
