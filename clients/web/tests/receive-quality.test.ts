import { afterEach, describe, expect, test, vi } from "vitest";
import { type ReceiveStats, receiveQuality } from "../src/core/receive-quality.js";
import { ReceiveQualityReporter } from "../src/receive-quality-reporter.js";

const audio = (packets: number, samples: number, concealedSamples: number): ReceiveStats => ({
  kind: "audio",
  packets,
  frozenS: 0,
  samples,
  concealedSamples,
});
const video = (packets: number, frozenS: number): ReceiveStats => ({ kind: "video", packets, frozenS, samples: 0, concealedSamples: 0 });

describe("what the players saw", () => {
  test("is a share of the time, over all slots on which something came", () => {
    const before = new Map([["a", audio(10, 1000, 100)], ["v", video(10, 1)], ["idle", video(5, 4)]]);
    const now = new Map([["a", audio(20, 3000, 600)], ["v", video(30, 2)], ["new", video(3, 0)], ["idle", video(5, 4)]]);
    expect(receiveQuality(before, now, 5)).toEqual({ frozen: 0.1, concealed: 0.25 });
  });

  test("is good when nothing came, and within its bounds when counters jump back", () => {
    expect(receiveQuality(new Map(), new Map([["v", video(0, 0)]]), 5)).toEqual({ frozen: 0, concealed: 0 });
    expect(receiveQuality(new Map([["v", video(9, 9)]]), new Map([["v", video(10, 1)]]), 5).frozen).toBe(0);
    expect(receiveQuality(new Map(), new Map([["v", video(10, 60)]]), 5).frozen).toBe(1);
  });
});

describe("reports", () => {
  afterEach(() => void vi.useRealTimers());

  test("come every five seconds until they are stopped", async () => {
    vi.useFakeTimers();
    const told: number[] = [];
    let samples = 0;
    const getStats = async () => {
      samples += 1000;
      const stats = { id: "a", type: "inbound-rtp", kind: "audio", packetsReceived: samples, totalSamplesReceived: samples };
      const outbound = { id: "o", type: "outbound-rtp", kind: "audio" };
      return new Map<string, object>([["a", { ...stats, concealedSamples: samples / 2, silentConcealedSamples: samples / 4 }], ["o", outbound]]);
    };
    const connection = { getStats } as unknown as RTCPeerConnection;
    const reports = new ReceiveQualityReporter(connection, (seen) => told.push(seen.concealed));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(told).toEqual([0.25, 0.25]);
    reports.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toHaveLength(2);
  });
});
