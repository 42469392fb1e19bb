/** The statistics of one receive slot since the connection began (W3C webrtc-stats, RTCInboundRtpStreamStats). */
export interface ReceiveStats {
  readonly kind: "audio" | "video";
  readonly packets: number;
  /** Seconds for which the picture stood still. */
  readonly frozenS: number;
  readonly samples: number;
  /** Samples that the player invented for missing ones, without those of silence. */
  readonly concealedSamples: number;
}

/** Shares from 0 to 1, over all slots in use. */
export interface ReceiveQuality {
  readonly frozen: number;
  readonly concealed: number;
}

/** What players saw between two looks `elapsedS` apart, each by slot. A slot on which nothing came is not in use. */
export function receiveQuality(before: ReadonlyMap<string, ReceiveStats>, now: ReadonlyMap<string, ReceiveStats>, elapsedS: number): ReceiveQuality {
  let pictures = 0;
  let frozenS = 0;
  let samples = 0;
  let concealed = 0;
  for (const [slot, stats] of now) {
    const past = before.get(slot);
    if (stats.packets === (past?.packets ?? 0)) continue;
    if (stats.kind === "video") pictures += 1;
    frozenS += stats.frozenS - (past?.frozenS ?? 0);
    samples += stats.samples - (past?.samples ?? 0);
    concealed += stats.concealedSamples - (past?.concealedSamples ?? 0);
  }
  return { frozen: share(frozenS, pictures * elapsedS), concealed: share(concealed, samples) };
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(Math.max(part / whole, 0), 1) : 0;
}
