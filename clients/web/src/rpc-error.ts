/** The codes of gRPC (https://grpc.io/docs/guides/status-codes/). */
export const Code = {
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

const NAMES = Object.entries(Code).map(([name, code]) => [code, name.replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase()] as const);

/** Such as `not_found`. */
export function codeName(code: number): string {
  return NAMES.find(([known]) => known === code)?.[1] ?? "unknown";
}

/** An encoded detail of an error, such as google.rpc.ErrorInfo. */
export interface RpcDetail {
  readonly type: string;
  readonly value: Uint8Array;
}

/** A request that failed. */
export class RpcError extends Error {
  override readonly name = "RpcError";

  constructor(
    message: string,
    readonly code: number,
    readonly details: readonly RpcDetail[] = [],
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** What any thrown value means as an error of a request. What a browser or a client of Connect throws is read by its form. */
export function toRpcError(thrown: unknown, fallback: number = Code.Unknown): RpcError {
  if (thrown instanceof RpcError) return thrown;
  if (!(thrown instanceof Error)) return new RpcError(String(thrown), fallback, [], thrown);
  const { code, details } = thrown as { code?: unknown; details?: unknown };
  if (thrown.name === "ConnectError" && typeof code === "number" && Array.isArray(details)) return new RpcError(thrown.message, code, details.filter(isDetail), thrown.cause);
  // fetch and timers give up in these two ways.
  if (thrown.name === "AbortError" || thrown.name === "TimeoutError") return new RpcError(thrown.message, Code.Canceled);
  return new RpcError(thrown.message, fallback, [], thrown);
}

function isDetail(detail: unknown): detail is RpcDetail {
  return typeof detail === "object" && detail !== null && "type" in detail && "value" in detail && detail.value instanceof Uint8Array;
}
