import type { Attachment } from "./model.js";
import type { Told, UserMessage } from "./user-messages.js";

/** A file that is being uploaded. It is shown beside the text until it is sent or removed. */
export interface Upload {
  /** Also the idempotency key towards the service. */
  readonly id: string;
  readonly fileName: string;
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly width: number;
  readonly height: number;
  readonly state: UploadState;
  /** Bytes that are there. */
  readonly sentBytes: number;
  /** Set when failed or refused. */
  readonly problem: Told | undefined;
  /** About metadata that may be left in the file. */
  readonly notice?: UserMessage | undefined;
  /** Set when done: what a message names. */
  readonly attachment: Attachment | undefined;
}

/** Refused: the same file will not do at a second try either. */
export type UploadState = "announcing" | "putting" | "done" | "failed" | "refused";

export type UploadInput =
  | { readonly kind: "prepared"; readonly sizeBytes: number; readonly notice: UserMessage | undefined }
  | { readonly kind: "announced" }
  | { readonly kind: "progressed"; readonly sentBytes: number }
  | { readonly kind: "arrived"; readonly attachment: Attachment }
  | { readonly kind: "failed" | "refused"; readonly problem: Told }
  | { readonly kind: "retry" };

type Step = (upload: Upload, input: never) => Partial<Upload>;

const fail = (_: Upload, { problem }: { problem: Told }): Partial<Upload> => ({ state: "failed", problem, sentBytes: 0 });
const refuse = (_: Upload, { problem }: { problem: Told }): Partial<Upload> => ({ state: "refused", problem, sentBytes: 0 });

/** What each state makes of each input; what is not here changes nothing. */
const STEPS: Record<UploadState, Partial<Record<UploadInput["kind"], Step>>> = {
  announcing: {
    prepared: (_: Upload, { sizeBytes, notice }: { sizeBytes: number; notice: UserMessage | undefined }) => ({ sizeBytes, notice }),
    announced: () => ({ state: "putting" }),
    failed: fail,
    refused: refuse,
  },
  putting: {
    progressed: (upload, { sentBytes }: { sentBytes: number }) => ({ sentBytes: Math.min(upload.sizeBytes, Math.max(upload.sentBytes, sentBytes)) }),
    arrived: (upload, { attachment }: { attachment: Attachment }) => ({ state: "done", attachment, sentBytes: upload.sizeBytes }),
    failed: fail,
    refused: refuse,
  },
  done: {},
  failed: {
    retry: () => ({ state: "announcing", problem: undefined }),
  },
  refused: {},
};

export function stepUpload(upload: Upload, input: UploadInput): Upload {
  const step = STEPS[upload.state][input.kind];
  return step ? { ...upload, ...step(upload, input as never) } : upload;
}

/** Whether a message may go with these: none is still on its way or broken. */
export function allDone(uploads: readonly Upload[]): boolean {
  return uploads.every((upload) => upload.state === "done");
}
