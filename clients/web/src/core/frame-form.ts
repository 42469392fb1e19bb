import { MAX_HEADER_BYTES } from "./sframe-header.js";

/**
 * How an encrypted frame lies in its packets: clear | ciphertext and tag | SFrame header | length of clear | length of header.
 *
 * The header is last, because the SFU and the receiver's depacketizer read the codec's first bytes where they always are.
 */
export interface EncryptedFrame {
  readonly clear: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly header: Uint8Array;
}

const LENGTHS = 2;
/** RFC 6386 section 9.1: a key frame's tag, start code and size; of other frames the first byte says that they are none. */
const VP8_KEY_FRAME = 10;
const VP8_DELTA_FRAME = 1;
/** RFC 6716 section 3.1: the TOC byte. */
const OPUS = 1;

/** How many bytes of a frame are left readable for the SFU; undefined for a codec that this does not know. */
export function clearLength(mimeType: string | undefined, frame: Uint8Array): number | undefined {
  const codec = mimeType?.toLowerCase();
  if (codec === "audio/opus") return Math.min(OPUS, frame.length);
  if (codec !== "video/vp8") return undefined;
  const isKeyFrame = frame.length > 0 && ((frame[0] ?? 1) & 1) === 0;
  return Math.min(isKeyFrame ? VP8_KEY_FRAME : VP8_DELTA_FRAME, frame.length);
}

/** Whether an encrypted frame can have so many clear bytes: of a frame in the clear, what stands in its place seldom does. */
export const isClearLength = (bytes: number): boolean => [OPUS, VP8_DELTA_FRAME, VP8_KEY_FRAME].includes(bytes);

export function joinFrame({ clear, ciphertext, header }: EncryptedFrame): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(clear.length + ciphertext.length + header.length + LENGTHS);
  frame.set(clear);
  frame.set(ciphertext, clear.length);
  frame.set(header, clear.length + ciphertext.length);
  frame.set([clear.length, header.length], frame.length - LENGTHS);
  return frame;
}

/** The parts of a frame, or undefined when its lengths do not add up. */
export function splitFrame(frame: Uint8Array): EncryptedFrame | undefined {
  const [clearBytes, headerBytes] = frame.subarray(-LENGTHS);
  if (clearBytes === undefined || headerBytes === undefined || headerBytes > MAX_HEADER_BYTES) return undefined;
  const headerAt = frame.length - LENGTHS - headerBytes;
  if (headerAt < clearBytes) return undefined;
  return {
    clear: frame.subarray(0, clearBytes),
    ciphertext: frame.subarray(clearBytes, headerAt),
    header: frame.subarray(headerAt, headerAt + headerBytes),
  };
}
