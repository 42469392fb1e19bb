import { BinaryReader } from "@bufbuild/protobuf/wire";
import { errorLine, type Failure } from "./core/user-messages.js";
import { Code, codeName, RpcError, toRpcError } from "./rpc-error.js";
import { LoginOverError } from "./tokens.js";

export type { Failure };

/** CANCELED of a server or a proxy: it ended while the request was on its way, as when the edge is started anew. */
const TRANSIENT: ReadonlySet<number> = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Aborted, Code.Internal, Code.Unknown, Code.Canceled]);
/** Marks CANCELED of our own. */
const CANCELLED_HERE = Symbol("given up");

/** Ends a request that this page wants no more: its failure is not transient, so that nobody repeats it. */
export function cancelRequest(abort: AbortController | undefined): void {
  abort?.abort(new RpcError("given up", Code.Canceled, [], CANCELLED_HERE));
}

function isCancelledHere(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    // Who passes the reason on may have put an error of their own around it.
    if (error.cause === CANCELLED_HERE || error.name === "AbortError") return true;
  }
  return false;
}

/** What the library's methods reject with: a Failure that is an Error. `message` is for developers, `line` for people. */
export class FailureError extends Error implements Failure {
  override readonly name = "FailureError";
  declare readonly code: string;
  declare readonly reason: string | undefined;
  declare readonly field: string | undefined;
  declare readonly retryDelayMs: number;
  declare readonly transient: boolean;
  declare readonly line: string;
  declare readonly detail: string;

  /** `failure`: the same as plain data, which can be kept and cloned. */
  constructor(
    readonly failure: Failure,
    cause?: unknown,
  ) {
    super([failure.code, failure.reason, failure.field, failure.detail].filter(Boolean).join(": "), { cause });
    Object.assign(this, failure);
  }
}

/** Reads any thrown value. Never throws; details that cannot be read count as absent. */
export function readFailure(thrown: unknown): Failure {
  if (thrown instanceof FailureError) return thrown.failure;
  const over = loginOver(thrown);
  if (over) return over;
  const error = toRpcError(thrown, Code.Unavailable);
  const reason = detailString(error, "google.rpc.ErrorInfo");
  const code = codeName(isUnreached(error) ? Code.Unavailable : error.code);
  const field = violatedField(error);
  const delayMs = retryDelayMs(error);
  const line = errorLine(code, reason, { field, retryDelayMs: delayMs });
  // A precondition that will be met without the client.
  const transient = (TRANSIENT.has(error.code) && !isCancelledHere(thrown)) || reason === "ATTACHMENT_NOT_SCANNED";
  return { code, reason, field, retryDelayMs: delayMs, transient, line, detail: error.message };
}

/** As a token that the service refuses. A request passes on what the provider of tokens threw as its cause. */
function loginOver(thrown: unknown): Failure | undefined {
  const error = thrown instanceof RpcError ? thrown.cause : thrown;
  if (!(error instanceof LoginOverError)) return undefined;
  const [code, reason] = ["unauthenticated", "TOKEN_EXPIRED"];
  return { code, reason, field: undefined, retryDelayMs: 0, transient: false, line: errorLine(code, reason), detail: error.message };
}

/** What is refused within an answer: its reason, and how long to wait. */
export function failureFor(reason: string, retryDelayMs: number): Failure {
  const line = errorLine("unknown", reason, { retryDelayMs });
  return { code: "unknown", reason, field: undefined, retryDelayMs, transient: retryDelayMs > 0, line, detail: "" };
}

/** The browser got no answer: `fetch` rejects with a TypeError, which GrpcWeb passes on as UNKNOWN. */
function isUnreached(error: RpcError): boolean {
  return error.code === Code.Unknown && error.cause instanceof TypeError;
}

function detail(error: RpcError, type: string): Uint8Array | undefined {
  return error.details.find((candidate) => candidate.type === type)?.value;
}

/** Field 1 of the detail, as a string. */
function detailString(error: RpcError, type: string): string | undefined {
  return firstString(detail(error, type));
}

/** google.rpc.BadRequest: its field 1 are violations, whose field 1 is the name of the request's field. */
function violatedField(error: RpcError): string | undefined {
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
function retryDelayMs(error: RpcError): number {
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

/** What is thrown, as a Failure that is an Error. */
export function asFailure(thrown: unknown): FailureError {
  return thrown instanceof FailureError ? thrown : new FailureError(readFailure(thrown), thrown);
}

/** The answer, or a rejection with a Failure. */
export async function orFailure<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    throw asFailure(error);
  }
}
