import { ascii, joined, MalformedFileError } from "./bytes.js";

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
const GRAPHIC_CONTROL = 0xf9;
const APPLICATION = 0xff;
/** Repetition and colours. XMP is in a block of the same kind. */
const KEPT_APPLICATIONS = new Set(["NETSCAPE2.0", "ANIMEXTS1.0", "ICCRGBG1012"]);
const HAS_COLOURS = 0x80;

/** A GIF without remarks, texts and XMP, and without what was put behind it (GIF89a). */
export function stripGif(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (!["GIF87a", "GIF89a"].includes(ascii(bytes, 0, 6))) throw new MalformedFileError();
  let at = 13 + colours(bytes[10]);
  const kept = [bytes.subarray(0, at)];
  for (;;) {
    const start = at;
    const kind = bytes[at];
    if (kind === TRAILER) break;
    if (kind === IMAGE) at = endOfBlocks(bytes, at + 11 + colours(bytes[at + 9]));
    else if (kind === EXTENSION) at = endOfBlocks(bytes, at + 2);
    else throw new MalformedFileError();
    if (kind === IMAGE || isKept(bytes, start)) kept.push(bytes.subarray(start, at));
  }
  return joined([...kept, Uint8Array.of(TRAILER)]);
}

function isKept(bytes: Uint8Array, at: number): boolean {
  const label = bytes[at + 1];
  return label === GRAPHIC_CONTROL || (label === APPLICATION && KEPT_APPLICATIONS.has(ascii(bytes, at + 3, 11)));
}

/** The bytes of a table of colours, by the flags before it. */
function colours(flags = 0): number {
  return flags & HAS_COLOURS ? 3 << ((flags & 7) + 1) : 0;
}

function endOfBlocks(bytes: Uint8Array, start: number): number {
  for (let at = start; at < bytes.length; ) {
    const length = bytes[at] ?? 0;
    at += 1 + length;
    if (length === 0) return at;
  }
  throw new MalformedFileError();
}
