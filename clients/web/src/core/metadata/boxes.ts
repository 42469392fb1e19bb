import { ascii, MalformedFileError, view } from "./bytes.js";

const HEAD_BYTES = 8;

/** A box of ISO/IEC 14496-12. */
export interface Box {
  readonly name: string;
  readonly start: number;
  /** Where what is in it begins. */
  readonly body: number;
  readonly end: number;
}

/** The boxes from here to there, in order. Throws MalformedFileError. */
export function boxes(bytes: Uint8Array, start: number, end: number): Box[] {
  const found: Box[] = [];
  for (let at = start; at + HEAD_BYTES <= end; ) {
    const box = boxAt(bytes, at, end);
    found.push(box);
    at = box.end;
  }
  return found;
}

function boxAt(bytes: Uint8Array, start: number, end: number): Box {
  const data = view(bytes);
  const short = data.getUint32(start);
  // 0: to the end; 1: the length follows in eight bytes.
  const long = short === 1 && start + 16 <= end;
  const length = short === 0 ? end - start : long ? Number(data.getBigUint64(start + HEAD_BYTES)) : short;
  const body = start + (long ? 16 : HEAD_BYTES);
  // A list of QuickTime may end with four zeros, which are no box.
  if (short === 0 && end - start < HEAD_BYTES) return { name: "", start, body: end, end };
  if (start + length < body || start + length > end) throw new MalformedFileError();
  return { name: ascii(bytes, start + 4, 4), start, body, end: start + length };
}
