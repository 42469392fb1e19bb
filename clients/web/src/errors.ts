import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorLine, type Failure } from "./core/user-messages.js";

export type { Failure };

/** CANCELED of a server or a proxy: it ended while the request was on its way, as when the edge is started anew. */
const TRANSIENT = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Aborted, Code.Internal, Code.Unknown, Code.Canceled]);
/** Marks CANCELED of our own. */
const CANCELLED_HERE = Symbol("given up");

/** Ends a request that this page wants no more: its failure is not transient, so that nobody repeats it. */
export function cancelRequest(abort: AbortController | undefined): void {
  abort?.abort(new ConnectError("given up", Code.Canceled, undefined, undefined, CANCELLED_HERE));
}

function isCancelledHere(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.cause === CANCELLED_HERE || thrown.name === "AbortError");
}

/** Reads any thrown value. Never throws; details that cannot be read count as absent. */
export function readFailure(thrown: unknown): Failure {
  const error = ConnectError.from(thrown, Code.Unavailable);
  const reason = detailString(error, "google.rpc.ErrorInfo");
  const code = codeName(isUnreached(error) ? Code.Unavailable : error.code);
  const field = violatedField(error);
  const delayMs = retryDelayMs(error);
  const line = errorLine(code, reason, { field, retryDelayMs: delayMs });
  // A precondition that will be met without the client.
  const transient = (TRANSIENT.has(error.code) && !isCancelledHere(thrown)) || reason === "ATTACHMENT_NOT_SCANNED";
  return { code, reason, field, retryDelayMs: delayMs, transient, line };
}

/** What is refused within an answer: its reason, and how long to wait. */
export function failureFor(reason: string, retryDelayMs: number): Failure {
  const line = errorLine("unknown", reason, { retryDelayMs });
  return { code: "unknown", reason, field: undefined, retryDelayMs, transient: retryDelayMs > 0, line };
}

/** The browser got no answer: `fetch` rejects with a TypeError, which a client of Connect passes on as UNKNOWN. */
function isUnreached(error: ConnectError): boolean {
  return error.code === Code.Unknown && error.cause instanceof TypeError;
}

function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
}

function detail(error: ConnectError, type: string): Uint8Array | undefined {
  for (const candidate of error.details) {
    if ("value" in candidate && "type" in candidate && candidate.type === type) return candidate.value as Uint8Array;
  }
  return undefined;
}

/** Field 1 of the detail, as a string. */
function detailString(error: ConnectError, type: string): string | undefined {
  return firstString(detail(error, type));
}

/** google.rpc.BadRequest: its field 1 are violations, whose field 1 is the name of the request's field. */
function violatedField(error: ConnectError): string | undefined {
  return firstString(firstBytes(detail(error, "google.rpc.BadRequest")));
}

function firstString(bytes: Uint8Array | undefined): string | undefined {
  const value = firstBytes(bytes);
  return value && new TextDecoder().decode(value);
}

function firstBytes(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (!bytes) return undefined;
  try {
    const reader = new BinaryReader(bytes);
    const [field] = reader.tag();
    return field === 1 ? reader.bytes() : undefined;
  } catch {
    return undefined;
  }
}

/** google.rpc.RetryInfo: field 1 is a google.protobuf.Duration. */
function retryDelayMs(error: ConnectError): number {
  const bytes = detail(error, "google.rpc.RetryInfo");
  if (!bytes) return 0;
  try {
    const outer = new BinaryReader(bytes);
    outer.tag();
    const inner = new BinaryReader(outer.bytes());
    let delayMs = 0;
    while (inner.pos < inner.len) {
      const [field, wireType] = inner.tag();
      if (field === 1) delayMs += Number(inner.int64()) * 1000;
      else if (field === 2) delayMs += inner.int32() / 1e6;
      else inner.skip(wireType);
    }
    return delayMs;
  } catch {
    return 0;
  }
}

/** The answer, or a rejection with a Failure. */
export async function orFailure<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw readFailure(error);
  }
}
