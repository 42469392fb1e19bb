/**
 * What an SFrame key id says: 24 bits of whose key it is, 24 of the sender's epoch, 16 of the stream.
 *
 * No two streams of an epoch have the same id, so that none shares a nonce with another.
 */
export interface KeyId {
  /** Of the sending device (`encryption/key-statements.ts`). */
  readonly tag: number;
  readonly epoch: number;
  readonly stream: number;
}

const STREAM_BITS = 16n;
const EPOCH_BITS = 24n;
const low = (value: number, bits: bigint): bigint => BigInt(value) & ((1n << bits) - 1n);

/** Streams that one device may begin while a call lasts; a connection takes four. */
export const MAX_STREAMS = 1 << Number(STREAM_BITS);

export function joinKeyId({ tag, epoch, stream }: KeyId): bigint {
  return (low(tag, 24n) << (EPOCH_BITS + STREAM_BITS)) | (low(epoch, EPOCH_BITS) << STREAM_BITS) | low(stream, STREAM_BITS);
}

export function splitKeyId(kid: bigint): KeyId {
  const bits = (shift: bigint, count: bigint): number => Number((kid >> shift) & ((1n << count) - 1n));
  return { tag: bits(EPOCH_BITS + STREAM_BITS, 24n), epoch: bits(STREAM_BITS, EPOCH_BITS), stream: bits(0n, STREAM_BITS) };
}

/** An epoch as key ids have it. */
export const shortEpoch = (epoch: number): number => Number(low(epoch, EPOCH_BITS));
