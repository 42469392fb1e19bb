"""The SFU's metrics. Base units; no label ever holds an id."""

from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from services.sfu.core.ids import CallId
from services.sfu.core.session.quality import Cause, Leg, Quality

_RTT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2)
_JITTER_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)
_MOS_BUCKETS = (1.5, 2, 2.5, 3, 3.3, 3.5, 3.8, 4, 4.2, 4.3, 4.5)
# The objective's (deploy/observability/slos.yaml), and one of the buckets.
_POOR_MOS = 3.5
# What OpenMetrics allows an exemplar, less its label's name.
_MAX_EXEMPLAR = 120
_LOSS_BUCKETS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)

PACKETS_RECEIVED = Counter("sfu_packets_received", "Datagrams that came to the media port.")
BYTES_RECEIVED = Counter("sfu_received_bytes", "Their bytes, without IP and UDP headers.")
PACKETS_SENT = Counter("sfu_packets_sent", "Datagrams sent from the media port.")
BYTES_SENT = Counter("sfu_sent_bytes", "Their bytes, without IP and UDP headers.")
PACKETS_RETRANSMITTED = Counter("sfu_packets_retransmitted", "Packets sent again because a receiver asked.")
BYTES_PROBED = Counter("sfu_probe_bytes", "Bytes sent only to try what a path bears.")
PACKETS_DROPPED = Counter("sfu_packets_dropped", "Packets dropped, by reason.", ["reason"])
RELAYED_PACKETS = Counter("sfu_relayed_packets", "Datagrams from and to other workers of a call.", ["direction"])
RELAYED_BYTES = Counter("sfu_relayed_bytes", "Their bytes, without IP and UDP headers.", ["direction"])
RELAY_LEGS = Gauge("sfu_relay_legs", "Legs to other workers, one for each call and worker.")
JOINS = Counter("sfu_joins", "Joins, by outcome.", ["outcome"])
WORKER_RESTARTS = Counter("sfu_worker_restarts", "Workers of this pod that died and were replaced.")
PARTICIPANTS = Gauge("sfu_participants", "Participants of the worker.")
CALLS = Gauge("sfu_calls", "Calls that have a participant.")
EVENTS_DROPPED = Counter("sfu_events_dropped", "Events for Kafka dropped because too many waited.", ["kind"])
LOSS = Histogram("sfu_loss_ratio", "Share of a participant's packets lost in 5 s.", ["leg"], buckets=_LOSS_BUCKETS)
JITTER = Histogram("sfu_jitter_seconds", "A participant's greatest jitter.", ["leg"], buckets=_JITTER_BUCKETS)
MOS = Histogram("sfu_mos", "A leg's MOS over 5 s (ITU-T G.107).", ["leg"], buckets=_MOS_BUCKETS)
POOR = Counter("sfu_poor_legs", "Legs over 5 s with a MOS of 3.5 or less, by what took most of it.", ["leg", "cause"])
FROZEN = Histogram("sfu_frozen_ratio", "Share of 5 s that a client's videos stood still.", buckets=_LOSS_BUCKETS)
CONCEALED = Histogram("sfu_concealed_ratio", "Share of 5 s that a client made up audio.", buckets=_LOSS_BUCKETS)
for _leg in ("uplink", "downlink"):
    for _cause in get_args(Cause):
        # There from the start: a rate does not see a series' first value.
        POOR.labels(_leg, _cause)
RTT = Histogram("sfu_rtt_seconds", "Round trip between worker and client.", buckets=_RTT_BUCKETS)


class PrometheusMetrics:
    """See ports.Metrics."""

    def joined(self, outcome: str) -> None:
        JOINS.labels(outcome).inc()

    def packets_in(self, packets: int, size: int) -> None:
        PACKETS_RECEIVED.inc(packets)
        BYTES_RECEIVED.inc(size)

    def packets_out(self, packets: int, size: int) -> None:
        PACKETS_SENT.inc(packets)
        BYTES_SENT.inc(size)

    def retransmitted(self, packets: int) -> None:
        PACKETS_RETRANSMITTED.inc(packets)

    def probed(self, size: int) -> None:
        BYTES_PROBED.inc(size)

    def dropped(self, reason: str, packets: int = 1) -> None:
        PACKETS_DROPPED.labels(reason).inc(packets)

    def relayed(self, direction: str, packets: int, size: int) -> None:
        RELAYED_PACKETS.labels(direction).inc(packets)
        RELAYED_BYTES.labels(direction).inc(size)

    def relay_legs(self, legs: int) -> None:
        RELAY_LEGS.set(legs)

    def occupancy(self, participants: int, calls: int) -> None:
        PARTICIPANTS.set(participants)
        CALLS.set(calls)

    def quality(self, quality: Quality, call_id: CallId) -> None:
        exemplar = {"call_id": str(call_id)} if len(call_id) <= _MAX_EXEMPLAR else None
        _observe("uplink", quality.uplink, exemplar)
        _observe("downlink", quality.downlink, exemplar)
        if quality.remote_mos:
            MOS.labels("remote").observe(quality.remote_mos, exemplar)
        if quality.uplink.rtt_s is not None:
            RTT.observe(quality.uplink.rtt_s)
        if quality.downlink.packets:
            FROZEN.observe(quality.receive.frozen_ratio)
            CONCEALED.observe(quality.receive.concealed_ratio)


def _observe(name: str, leg: Leg, exemplar: dict[str, str] | None) -> None:
    # A silent leg would count as a perfect one.
    if leg.packets:
        LOSS.labels(name).observe(leg.loss)
        JITTER.labels(name).observe(leg.jitter_s)
        MOS.labels(name).observe(leg.mos, exemplar)
        if leg.mos <= _POOR_MOS:
            POOR.labels(name, leg.cause).inc()
