import { type ReceiveStats, type ReceiveQuality, receiveQuality } from "./core/receive-quality.js";

/** As the SFU computes its scores. Raising it tells later what went wrong; lowering it reads the statistics more often. */
const INTERVAL_MS = 5_000;

/** Tells, every few seconds, what this device's players saw of the call. */
export class ReceiveQualityReporter {
  private readonly timer = setInterval(() => void this.report(), INTERVAL_MS);
  private seen: ReadonlyMap<string, ReceiveStats> = new Map();
  private seenAt = performance.now();

  constructor(
    private readonly connection: Pick<RTCPeerConnection, "getStats">,
    private readonly send: (seen: ReceiveQuality) => void,
  ) {}

  stop(): void {
    clearInterval(this.timer);
  }

  private async report(): Promise<void> {
    const now = received(await this.connection.getStats());
    const at = performance.now();
    this.send(receiveQuality(this.seen, now, (at - this.seenAt) / 1000));
    this.seen = now;
    this.seenAt = at;
  }
}

function received(report: RTCStatsReport): Map<string, ReceiveStats> {
  const slots = new Map<string, ReceiveStats>();
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
