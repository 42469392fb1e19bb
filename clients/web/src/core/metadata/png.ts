import { ascii, joined, MalformedFileError, view } from "./bytes.js";
import { orientationBlock, orientationOf } from "./orientation.js";

const SIGNATURE = "\x89PNG\r\n\x1a\n";
/** What is drawn, how its colours are meant, and how it moves (PNG, third edition). All else may go: texts, times, EXIF, what programs add. */
const KEPT = new Set(["IHDR", "PLTE", "IDAT", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "cICP", "mDCV", "cLLI", "sBIT", "bKGD", "pHYs", "acTL", "fcTL", "fdAT"]);

/** A PNG, also an animated one, without its metadata. */
export function stripPng(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (ascii(bytes, 0, 8) !== SIGNATURE) throw new MalformedFileError();
  const kept: Uint8Array[] = [];
  let orientation = 1;
  for (let at = 8; ; ) {
    if (at + 12 > bytes.length) throw new MalformedFileError();
    const length = view(bytes).getUint32(at);
    const name = ascii(bytes, at + 4, 4);
    const end = at + 12 + length;
    if (end > bytes.length) throw new MalformedFileError();
    if (name === "eXIf") orientation = orientationOf(bytes.subarray(at + 8, end - 4));
    if (KEPT.has(name)) kept.push(bytes.subarray(at, end));
    at = end;
    if (name === "IEND") break;
  }
  const [header = new Uint8Array(), ...others] = kept;
  const exif = orientation === 1 ? [] : [chunk("eXIf", orientationBlock(orientation))];
  return joined([bytes.subarray(0, 8), header, ...exif, ...others, chunk("IEND", new Uint8Array())]);
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const named = joined([new TextEncoder().encode(name), data]);
  const [length, sum] = [new Uint8Array(4), new Uint8Array(4)];
  view(length).setUint32(0, data.length);
  view(sum).setUint32(0, crc32(named));
  return joined([length, named, sum]);
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
