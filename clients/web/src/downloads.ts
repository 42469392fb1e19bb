import type { Api } from "./api.js";
import { asFailure, orFailure } from "./errors.js";
import { millis } from "./wire.js";

/** An address is asked for anew this long before it ends, so that none dies while a picture is on its way. */
const RENEW_BEFORE_MS = 30_000;
/** Addresses that are kept; beyond, the oldest go. */
const MAX_CACHED = 500;

/** One attachment of one message. */
export interface AttachmentRef {
  readonly conversationId: string;
  readonly seq: number;
  readonly attachmentId: string;
}

interface CachedUrl {
  readonly url: string;
  readonly untilMs: number;
}

/** Addresses of attachments: each is asked for once and again when it ends. */
export class Downloads {
  private readonly cached = new Map<string, CachedUrl>();
  private readonly running = new Map<string, Promise<string>>();
  /** By message, the keys of openings that were not answered. */
  private readonly opening = new Map<string, string>();

  constructor(private readonly api: Api) {}

  /** An address that is good for a while yet. Rejects with a Failure. */
  async url(ref: AttachmentRef): Promise<string> {
    const cached = this.cached.get(ref.attachmentId);
    if (cached && Date.now() < cached.untilMs) return cached.url;
    const running = this.running.get(ref.attachmentId) ?? this.ask(ref);
    this.running.set(ref.attachmentId, running);
    return running;
  }

  /** An address did not work: the next `address` asks anew. */
  forget(attachmentId: string): void {
    this.cached.delete(attachmentId);
  }

  /**
   * Opens a view-once message, which this user can do once: an address of its file that is good for some minutes.
   * After a lost answer it can be called again within a minute. Rejects with a Failure, of the reason ALREADY_OPENED.
   */
  async openOnce(conversationId: string, seq: number): Promise<string> {
    const place = `${conversationId} ${seq}`;
    const clientRequestId = this.opening.get(place) ?? crypto.randomUUID();
    this.opening.set(place, clientRequestId);
    const { downloadUrl } = await orFailure(this.api.attachments.openViewOnce({ conversationId, seq: BigInt(seq), clientRequestId }));
    this.opening.delete(place);
    return downloadUrl;
  }

  private async ask({ conversationId, seq, attachmentId }: AttachmentRef): Promise<string> {
    try {
      const answer = await orFailure(this.api.attachments.getDownload({ conversationId, seq: BigInt(seq), attachmentId }));
      if (!answer.downloadUrl) throw asFailure(new Error("no address in the answer"));
      this.cached.delete(attachmentId);
      this.cached.set(attachmentId, { url: answer.downloadUrl, untilMs: (millis(answer.expireTime) ?? 0) - RENEW_BEFORE_MS });
      for (const oldest of [...this.cached.keys()].slice(0, Math.max(0, this.cached.size - MAX_CACHED))) this.cached.delete(oldest);
      return answer.downloadUrl;
    } finally {
      this.running.delete(attachmentId);
    }
  }
}
