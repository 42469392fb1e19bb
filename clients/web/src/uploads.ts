import type { Api } from "./api.js";
import { contentTypeOf, fileProblem, safeName } from "./core/files.js";
import type { Limits } from "./core/limits.js";
import type { Attachment } from "./core/model.js";
import type { Upload, UploadInput } from "./core/uploads.js";
import { stepUpload } from "./core/uploads.js";
import { type UserMessage, userMessage } from "./core/user-messages.js";
import { cancelRequest, readFailure } from "./errors.js";
import type { Put } from "./object-upload.js";
import { TransferError } from "./object-upload.js";
import { readAttachment } from "./wire.js";

/** So many files of this device go up at once. More share the line; fewer let small files wait behind large ones. */
const AT_ONCE = 3;

const PRECONDITION_FAILED = 412;

/** A file as the user picked it. */
export interface PickedFile {
  readonly name: string;
  readonly contentType: string;
  readonly body: Blob;
  /** Of pictures and videos, in pixels, when known. */
  readonly width?: number;
  readonly height?: number;
}

interface Job {
  readonly conversationId: string;
  readonly picked: Blob;
  /** What is uploaded: the picked file without its metadata. */
  body: Blob | undefined;
  upload: Upload;
  abort: AbortController | undefined;
}

/** Files that go with the next message of each conversation: announced, put to the store, retried, cancelled. */
export class Uploads {
  private jobs: Job[] = [];

  constructor(
    private readonly api: Api,
    private readonly put: Put,
    private readonly changed: () => void,
    private readonly limits: () => Limits,
  ) {}

  /** Of one conversation, in the order in which they were picked. */
  of(conversationId: string): readonly Upload[] {
    return this.jobs.filter((job) => job.conversationId === conversationId).map((job) => job.upload);
  }

  /** Starts to upload. Says so when there are too many; those are left out. */
  add(conversationId: string, files: readonly PickedFile[]): UserMessage | undefined {
    const { attachments, uploadBytes } = this.limits();
    const left = Math.max(0, attachments - this.of(conversationId).length);
    for (const file of files.slice(0, left)) this.jobs.push(newJob(conversationId, file, uploadBytes));
    this.startWaiting();
    this.changed();
    return files.length > left ? userMessage("too_many_files", { count: attachments }) : undefined;
  }

  /** Tries a failed one again, under its first id. */
  retry(uploadId: string): void {
    const job = this.jobs.find(({ upload }) => upload.id === uploadId);
    if (job) this.step(job, { kind: "retry" });
    this.startWaiting();
  }

  /** Cancels one in any state. The service deletes what had arrived in time. */
  cancel(uploadId: string): void {
    const job = this.jobs.find(({ upload }) => upload.id === uploadId);
    this.jobs = this.jobs.filter((other) => other !== job);
    cancelRequest(job?.abort);
    this.startWaiting();
    this.changed();
  }

  /** Hands over what is done, for a message; what is not stays. */
  take(conversationId: string): Attachment[] {
    const taken = this.jobs.filter((job) => job.conversationId === conversationId && job.upload.state === "done");
    this.jobs = this.jobs.filter((job) => !taken.includes(job));
    this.changed();
    return taken.flatMap(({ upload }) => upload.attachment ?? []);
  }

  /** Cancels everything. */
  close(): void {
    for (const job of this.jobs) cancelRequest(job.abort);
    this.jobs = [];
  }

  private startWaiting(): void {
    const running = this.jobs.filter((job) => job.abort).length;
    const waiting = this.jobs.filter((job) => !job.abort && job.upload.state === "announcing");
    for (const job of waiting.slice(0, Math.max(0, AT_ONCE - running))) void this.run(job);
  }

  private async run(job: Job): Promise<void> {
    const abort = new AbortController();
    job.abort = abort;
    try {
      await this.upload(job, abort.signal);
    } catch (error) {
      if (!abort.signal.aborted) this.step(job, problemOf(error));
    }
    job.abort = undefined;
    this.startWaiting();
  }

  private async upload(job: Job, signal: AbortSignal): Promise<void> {
    const body = (job.body ??= await this.prepare(job));
    if (!body || signal.aborted) return;
    const { id, fileName, contentType, sizeBytes, width, height } = job.upload;
    const request = { clientUploadId: id, fileName, contentType, sizeBytes: BigInt(sizeBytes), width, height };
    const { attachment, uploadUrl: url, headers } = await this.api.attachments.createUpload(request, { signal });
    if (!attachment) throw new Error("no attachment in the answer");
    this.step(job, { kind: "announced" });
    const onProgress = (sentBytes: number): void => this.step(job, { kind: "progressed", sentBytes });
    await this.put({ url, headers, body, signal, onProgress }).catch(ignoreThere);
    this.step(job, { kind: "arrived", attachment: readAttachment(attachment) });
  }

  /** Undefined for what is not of its type: nothing could be taken out of it, and the service would refuse it. */
  private async prepare(job: Job): Promise<Blob | undefined> {
    // Loaded with the first file: whoever only writes needs none of it.
    const { strip } = await import("./core/metadata/index.js");
    const stripped = await strip(job.picked, job.upload.contentType);
    if (stripped) this.step(job, { kind: "prepared", sizeBytes: stripped.body.size, notice: stripped.notice });
    else this.step(job, { kind: "refused", problem: userMessage("file_not_as_named") });
    return stripped?.body;
  }

  private step(job: Job, input: UploadInput): void {
    job.upload = stepUpload(job.upload, input);
    this.changed();
  }
}

function newJob(conversationId: string, { name, contentType, body, width = 0, height = 0 }: PickedFile, maxBytes: number): Job {
  const type = contentTypeOf(contentType, name);
  const problem = fileProblem(type, body.size, maxBytes);
  const facts = { id: crypto.randomUUID(), fileName: safeName(name), contentType: type, sizeBytes: body.size, width, height };
  const upload: Upload = { ...facts, state: problem ? "refused" : "announcing", sentBytes: 0, problem, attachment: undefined };
  return { conversationId, picked: body, body: undefined, upload, abort: undefined };
}

/** The store takes each object once: a first attempt whose answer was lost had arrived after all. */
function ignoreThere(error: unknown): void {
  if (!(error instanceof TransferError && error.status === PRECONDITION_FAILED)) throw error;
}

function problemOf(error: unknown): UploadInput {
  if (error instanceof TransferError) {
    return { kind: "failed", problem: userMessage(error.status === 0 ? "file_not_sent" : "file_not_accepted") };
  }
  const failure = readFailure(error);
  return { kind: failure.code === "invalid_argument" ? "refused" : "failed", problem: failure };
}
