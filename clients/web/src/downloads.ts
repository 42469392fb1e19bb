import type { Api } from "./api.js";
import { answered, readFailure } from "./errors.js";
import { millis } from "./wire.js";

/** An address is asked for anew this long before it ends, so that none dies while a picture is on its way. */
const RENEW_BEFORE_MS = 30_000;
/** Addresses that are kept; beyond, the oldest go. */
const MAX_KEPT = 500;

/** One attachment of one message. */
export interface AttachmentPlace {
  readonly conversationId: string;
  readonly seq: number;
  readonly attachmentId: string;
}

interface Kept {
  readonly url: string;
  readonly untilMs: number;
}

/** Addresses of attachments: each is asked for once and again when it ends. */
export class Downloads {
  private readonly kept = new Map<string, Kept>();
  private readonly running = new Map<string, Promise<string>>();

  constructor(private readonly api: Api) {}

  /** An address that is good for a while yet. Rejects with a Failure. */
  async address(place: AttachmentPlace): Promise<string> {
    const kept = this.kept.get(place.attachmentId);
    if (kept && Date.now() < kept.untilMs) return kept.url;
    const running = this.running.get(place.attachmentId) ?? this.ask(place);
    this.running.set(place.attachmentId, running);
    return running;
  }

  /** An address did not work: the next `address` asks anew. */
  forget(attachmentId: string): void {
    this.kept.delete(attachmentId);
  }

  private async ask({ conversationId, seq, attachmentId }: AttachmentPlace): Promise<string> {
    try {
      const answer = await answered(this.api.attachments.getDownload({ conversationId, seq: BigInt(seq), attachmentId }));
      if (!answer.downloadUrl) throw readFailure(new Error("no address in the answer"));
      this.kept.delete(attachmentId);
      this.kept.set(attachmentId, { url: answer.downloadUrl, untilMs: (millis(answer.expireTime) ?? 0) - RENEW_BEFORE_MS });
      for (const oldest of [...this.kept.keys()].slice(0, Math.max(0, this.kept.size - MAX_KEPT))) this.kept.delete(oldest);
      return answer.downloadUrl;
    } finally {
      this.running.delete(attachmentId);
    }
  }
}
