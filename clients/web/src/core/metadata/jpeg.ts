import { ascii, joined, MalformedFileError, view } from "./bytes.js";
import { orientationBlock, orientationOf } from "./orientation.js";

/** Markers of ITU-T T.81. */
const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const COM = 0xfe;
const APP0 = 0xe0;
const APP1 = 0xe1;
const APP2 = 0xe2;
const APP14 = 0xee;
const APP15 = 0xef;
const EXIF = "Exif\0\0";

/** A JPEG without EXIF, XMP, IPTC, remarks, previews and whatever was put behind the picture; colours and which way is up stay. */
export function stripJpeg(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes[0] !== 0xff || bytes[1] !== SOI) throw new MalformedFileError();
  const kept: Uint8Array[] = [];
  let orientation = 1;
  let at = 2;
  for (;;) {
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at += 1;
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === undefined) throw new MalformedFileError();
    if (marker === EOI) break;
    const end = at + 2 + length(bytes, at + 2);
    if (end > bytes.length) throw new MalformedFileError();
    const data = bytes.subarray(at + 4, end);
    if (marker === APP1 && ascii(data, 0, 6) === EXIF) orientation = orientationOf(data.subarray(6));
    if (isKept(marker, data)) kept.push(bytes.subarray(at, end));
    at = end;
    if (marker === SOS) {
      at = endOfScan(bytes, at);
      kept.push(bytes.subarray(end, at));
      // Some cameras forget the end.
      if (at === bytes.length) break;
    }
  }
  return joined([bytes.subarray(0, 2), ...exifOf(orientation), ...kept, Uint8Array.of(0xff, EOI)]);
}

/** Of what programs add only how the colours are meant: JFIF, the profile of colours, Adobe's transform. */
function isKept(marker: number, data: Uint8Array): boolean {
  if (marker === COM) return false;
  if (marker < APP0 || marker > APP15) return true;
  // JFIF alone: its extension (JFXX) is a preview.
  if (marker === APP0) return ascii(data, 0, 5) === "JFIF\0";
  if (marker === APP2) return ascii(data, 0, 12) === "ICC_PROFILE\0";
  return marker === APP14 && ascii(data, 0, 5) === "Adobe";
}

/** Where the coded picture ends: at the next marker that is no restart and no stuffed byte. */
function endOfScan(bytes: Uint8Array, start: number): number {
  for (let at = start; at + 1 < bytes.length; at++) {
    const next = bytes[at + 1] ?? 0;
    if (bytes[at] === 0xff && next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
  }
  return bytes.length;
}

function length(bytes: Uint8Array, at: number): number {
  if (at + 2 > bytes.length) throw new MalformedFileError();
  return view(bytes).getUint16(at);
}

function exifOf(orientation: number): Uint8Array[] {
  if (orientation === 1) return [];
  const block = orientationBlock(orientation);
  const head = Uint8Array.of(0xff, APP1, 0, 2 + EXIF.length + block.length);
  return [head, new TextEncoder().encode(EXIF), block];
}
