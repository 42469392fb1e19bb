import { ascii, joined, MalformedFileError, view } from "./bytes.js";
import { orientationBlock, orientationOf } from "./orientation.js";

/** What is drawn, its colours, and how it moves (RFC 9649). */
const KEPT = new Set(["VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "ICCP"]);
/** Flags of VP8X. */
const HAS_EXIF = 0x08;
const HAS_XMP = 0x04;

/** A WebP, also an animated one, without EXIF, XMP and unknown chunks. */
export function stripWebp(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (ascii(bytes, 0, 4) !== "RIFF" || ascii(bytes, 8, 4) !== "WEBP") throw new MalformedFileError();
  const end = 8 + view(bytes).getUint32(4, true);
  if (end > bytes.length + 1) throw new MalformedFileError();
  const kept: Uint8Array[] = [];
  let orientation = 1;
  for (let at = 12; at + 8 <= Math.min(end, bytes.length); ) {
    const name = ascii(bytes, at, 4);
    const length = view(bytes).getUint32(at + 4, true);
    const next = at + 8 + length + (length % 2);
    if (at + 8 + length > bytes.length) throw new MalformedFileError();
    if (name === "EXIF") orientation = orientationOf(withoutHead(bytes.subarray(at + 8, at + 8 + length)));
    if (KEPT.has(name)) kept.push(chunk(name, bytes.slice(at + 8, at + 8 + length)));
    at = next;
  }
  const flags = kept[0] && ascii(kept[0], 0, 4) === "VP8X" ? kept[0] : undefined;
  if (flags) flags[8] = ((flags[8] ?? 0) & ~(HAS_EXIF | HAS_XMP)) | (orientation === 1 ? 0 : HAS_EXIF);
  if (flags && orientation !== 1) kept.push(chunk("EXIF", orientationBlock(orientation)));
  const body = joined([new TextEncoder().encode("WEBP"), ...kept]);
  const head = new TextEncoder().encode("RIFF....");
  view(head).setUint32(4, body.length, true);
  return joined([head, body]);
}

/** Some programs write the head of JPEG's EXIF here, too. */
function withoutHead(exif: Uint8Array): Uint8Array {
  return ascii(exif, 0, 4) === "Exif" ? exif.subarray(6) : exif;
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`${name}....`);
  view(head).setUint32(4, data.length, true);
  return joined([head, data, new Uint8Array(data.length % 2)]);
}
