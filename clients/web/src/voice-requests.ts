import type { Api } from "./api.js";
import { backoffMs } from "./core/backoff.js";
import { strip } from "./core/metadata/index.js";
import type { Message, NewVoice, RequestState } from "./core/model.js";
import { userMessage } from "./core/user-messages.js";
import { orFailure, readFailure } from "./errors.js";
import type { Put, TransferError } from "./object-upload.js";
import { readMessage } from "./wire.js";

/** So long one waits for its scan; raising it keeps people waiting, lowering it has them send again by hand. */
const MAX_SCAN_WAIT_MS = 60_000;
/** The store has it already: a first answer was lost. */
const PRECONDITION_FAILED = 412;

/** Takes the service's responses. */
export interface SentVoices {
  receive(message: Message): void;
  setRequest(conversationId: string, request: RequestState): void;
}

/** What `VoiceMessages` does; its code comes with the first voice message that is sent. */
export class VoiceRequests {
  /** Sounds that are at the store, by the ids of their messages, until these are sent. */
  private readonly uploaded = new Map<string, string>();

  constructor(
    private readonly api: Api,
    private readonly put: Put,
    private readonly conversations: SentVoices,
  ) {}

  async send(conversationId: string, voice: NewVoice, clientMessageId: string = crypto.randomUUID()): Promise<void> {
    const attachmentId = this.uploaded.get(clientMessageId) ?? (await this.upload(voice, clientMessageId));
    this.uploaded.set(clientMessageId, attachmentId);
    const { lengthS, waveform = new Uint8Array(), viewOnce = false, replyToSeq = 0 } = voice;
    const value = { attachmentId, length: durationOf(lengthS), waveform };
    const content = { case: "voice", value } as const;
    const request = { conversationId, clientMessageId, content, attachmentIds: [attachmentId], viewOnce, replyToSeq: BigInt(replyToSeq) };
    const { message } = await whenScanned(() => this.api.messaging.sendMessage(request));
    this.uploaded.delete(clientMessageId);
    if (message) this.conversations.receive(readMessage(message));
    // Writing in a request accepts it.
    this.conversations.setRequest(conversationId, "none");
  }

  /** Under the message's id, so that a second attempt announces the same file. */
  private async upload({ body, lengthS }: NewVoice, clientUploadId: string): Promise<string> {
    // Without parameters; what it is called otherwise the service knows.
    const [contentType = ""] = body.type.split(";");
    const stripped = await strip(body, contentType);
    if (!stripped) throw userMessage("file_not_as_named");
    const request = { clientUploadId, fileName: "voice", contentType, sizeBytes: BigInt(stripped.body.size), length: durationOf(lengthS) };
    const { attachment, uploadUrl: url, headers } = await orFailure(this.api.attachments.createUpload(request));
    if (!attachment) throw readFailure(new Error("no attachment in the answer"));
    try {
      await this.put({ url, headers, body: stripped.body, signal: new AbortController().signal, onProgress: () => undefined });
    } catch (error) {
      // By its form: the class itself would pull the code of uploads apart.
      const { status = 0 } = error as Partial<TransferError>;
      if (status !== PRECONDITION_FAILED) throw userMessage(status === 0 ? "file_not_sent" : "file_not_accepted");
    }
    return attachment.attachmentId;
  }
}

/** As the service takes it, to a millisecond. */
function durationOf(lengthS: number): { readonly seconds: bigint; readonly nanos: number } {
  const ms = Math.round(lengthS * 1000);
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}

/** The answer, once the scanner has looked. Rejects with a Failure. */
async function whenScanned<T>(ask: () => Promise<T>): Promise<T> {
  const startedMs = Date.now();
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const failure = readFailure(error);
      if (failure.reason !== "ATTACHMENT_NOT_SCANNED" || Date.now() - startedMs > MAX_SCAN_WAIT_MS) throw failure;
      await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random(), failure.retryDelayMs)));
    }
  }
}
