import { type Received, type Reception, reception } from "./core/reception.js";

/** As the SFU computes its scores. Higher: what went wrong is known later. Lower: more looks at the statistics. */
const INTERVAL_MS = 5_000;

/** Tells, every few seconds, what this device's players saw of the call. */
export class ReceptionReports {
  private readonly timer = setInterval(() => void this.look(), INTERVAL_MS);
  private seen: ReadonlyMap<string, Received> = new Map();
  private seenAt = performance.now();

  constructor(
    private readonly connection: Pick<RTCPeerConnection, "getStats">,
    private readonly tell: (seen: Reception) => void,
  ) {}

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    const now = received(await this.connection.getStats());
    const at = performance.now();
    this.tell(reception(this.seen, now, (at - this.seenAt) / 1000));
    this.seen = now;
    this.seenAt = at;
  }
}

function received(report: RTCStatsReport): Map<string, Received> {
  const slots = new Map<string, Received>();
  report.forEach((stats: RTCInboundRtpStreamStats) => {
    if (stats.type !== "inbound-rtp") return;
    slots.set(stats.id, {
      kind: stats.kind === "video" ? "video" : "audio",
      packets: stats.packetsReceived ?? 0,
      frozenS: stats.totalFreezesDuration ?? 0,
      samples: stats.totalSamplesReceived ?? 0,
      concealedSamples: (stats.concealedSamples ?? 0) - (stats.silentConcealedSamples ?? 0),
    });
  });
  return slots;
}
