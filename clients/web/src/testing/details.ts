import type { ConnectError } from "@connectrpc/connect";

const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];
/** A protobuf field 1 that holds bytes. */
const first = (bytes: readonly number[]): number[] => [10, bytes.length, ...bytes];

function withDetail(error: ConnectError, type: string, bytes: readonly number[]): ConnectError {
  const details = [...error.details, { type, value: new Uint8Array(bytes) }];
  return Object.assign(error, { details });
}

/** The error with a google.rpc.ErrorInfo, which the in-memory transport hands over as it is. */
export function reason(error: ConnectError, name: string): ConnectError {
  return withDetail(error, "google.rpc.ErrorInfo", first(bytesOf(name)));
}

/** The error with a google.rpc.RetryInfo of less than 128 seconds. */
export function retryIn(error: ConnectError, seconds: number): ConnectError {
  return withDetail(error, "google.rpc.RetryInfo", first([8, seconds]));
}

/** The error with a google.rpc.BadRequest that names one field. */
export function badField(error: ConnectError, field: string): ConnectError {
  return withDetail(error, "google.rpc.BadRequest", first(first(bytesOf(field))));
}
