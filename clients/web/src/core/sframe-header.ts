/** The SFrame header (RFC 9605 section 4.3): which key, and which of its counters. */
export interface SFrameHeader {
  readonly kid: bigint;
  readonly counter: bigint;
}

/** A value below this is in the configuration byte itself. */
const INLINE = 8n;
const MAX_FIELD = 1n << 64n;
/** The configuration byte and two fields of eight bytes. */
export const MAX_HEADER_BYTES = 17;

export function encodeHeader({ kid, counter }: SFrameHeader): Uint8Array {
  if (kid < 0n || counter < 0n || kid >= MAX_FIELD || counter >= MAX_FIELD) throw new RangeError("64 bits at most");
  const [k, kidBytes] = encodeField(kid);
  const [c, counterBytes] = encodeField(counter);
  return Uint8Array.from([(k << 4) | c, ...kidBytes, ...counterBytes]);
}

/** The header that fills all of these bytes, or undefined. */
export function decodeHeader(bytes: Uint8Array): SFrameHeader | undefined {
  const config = bytes[0];
  if (config === undefined) return undefined;
  const kid = decodeField(config >> 4, bytes, 1);
  const counter = decodeField(config & 0x0f, bytes, kid.end);
  if (counter.end !== bytes.length) return undefined;
  return { kid: kid.value, counter: counter.value };
}

/** The four bits for the configuration byte, and the bytes that follow it. */
function encodeField(value: bigint): [number, number[]] {
  if (value < INLINE) return [Number(value), []];
  const bytes: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return [0x08 | (bytes.length - 1), bytes];
}

function decodeField(bits: number, bytes: Uint8Array, at: number): { value: bigint; end: number } {
  if (!(bits & 0x08)) return { value: BigInt(bits), end: at };
  const end = at + (bits & 0x07) + 1;
  let value = 0n;
  for (const byte of bytes.subarray(at, end)) value = (value << 8n) | BigInt(byte);
  return { value, end };
}
