import { type Box, boxes } from "./boxes.js";
import { ascii, MalformedFileError, view } from "./bytes.js";
import { samplesOf } from "./samples.js";

/**
 * Files of ISO/IEC 14496-12: video, audio, and pictures (HEIC, AVIF). Other boxes hold offsets into the file, so nothing is
 * moved: what is removed becomes free space of zeros.
 */
/** Boxes that hold others. */
const CONTAINERS = new Set(["moov", "trak", "mdia", "minf", "stbl", "edts", "moof", "traf", "mvex"]);
/** Metadata of a video: places, makers, names, remarks. */
const METADATA_BOXES = new Set(["udta", "meta", "uuid", "cprt", "loci", "XMP_"]);
/** Video, audio and text. Other tracks are telemetry of the device: where it was, which way it faced. */
const MEDIA_TRACKS = new Set(["vide", "soun", "auxv", "sbtl", "subt", "text", "clcp", "tmcd", "pict"]);
/** The types of a picture's items that hold metadata. */
const METADATA_ITEMS = new Set(["Exif", "mime", "uri "]);

/** A video or sound without its metadata, changed in place. Only the boxes are read, never the media. */
export function stripVideo(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const kept = bytes.slice();
  if (!boxes(kept, 0, kept.length).some(({ name }) => name === "moov" || name === "ftyp")) throw new MalformedFileError();
  freeMetadata(kept, 0, kept.length);
  return kept;
}

/** A HEIC or AVIF, in place: its items of EXIF and XMP become zeros. Which way is up is a property of its own. */
export function stripStill(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const kept = bytes.slice();
  const top = boxes(kept, 0, kept.length);
  const meta = top.find(({ name }) => name === "meta");
  if (!top.some(({ name }) => name === "ftyp") || !meta) throw new MalformedFileError();
  const inside = boxes(kept, meta.body + 4, meta.end);
  const of = (name: string): Box | undefined => inside.find((box) => box.name === name);
  const said = metadataItems(kept, of("iinf"));
  const data = of("idat");
  for (const { item, start, end } of extents(kept, of("iloc"), data?.body ?? 0)) {
    if (!said.has(item)) continue;
    if (end > kept.length) throw new MalformedFileError();
    kept.fill(0, start, end);
  }
  for (const box of top) if (box.name === "uuid" || box.name === "udta") free(kept, box);
  // There may be a video beside the picture (a motion photo).
  for (const box of top) if (box.name === "moov") freeMetadata(kept, box.body, box.end);
  return kept;
}

function freeMetadata(bytes: Uint8Array, start: number, end: number): void {
  for (const box of boxes(bytes, start, end)) {
    if (METADATA_BOXES.has(box.name)) free(bytes, box);
    else if (box.name === "trak" && !MEDIA_TRACKS.has(handlerOf(bytes, box))) freeTrack(bytes, box);
    else if (CONTAINERS.has(box.name)) freeMetadata(bytes, box.body, box.end);
  }
}

function handlerOf(bytes: Uint8Array, trak: Box): string {
  const mdia = boxes(bytes, trak.body, trak.end).find(({ name }) => name === "mdia");
  const hdlr = mdia && boxes(bytes, mdia.body, mdia.end).find(({ name }) => name === "hdlr");
  return hdlr ? ascii(bytes, hdlr.body + 8, 4) : "";
}

function freeTrack(bytes: Uint8Array, trak: Box): void {
  for (const { start, end } of samplesOf(bytes, trak)) bytes.fill(0, start, end);
  free(bytes, trak);
}

function free(bytes: Uint8Array, { start, body, end }: Box): void {
  bytes.set(new TextEncoder().encode("free"), start + 4);
  bytes.fill(0, body, end);
}

/** The ids of the items that say something of the picture. */
function metadataItems(bytes: Uint8Array, iinf: Box | undefined): Set<number> {
  const said = new Set<number>();
  if (!iinf) return said;
  const data = view(bytes);
  const first = iinf.body + (bytes[iinf.body] === 0 ? 6 : 8);
  for (const entry of boxes(bytes, first, iinf.end)) {
    const version = bytes[entry.body] ?? 0;
    if (entry.name !== "infe" || version < 2) continue;
    const wide = version > 2;
    const item = wide ? data.getUint32(entry.body + 4) : data.getUint16(entry.body + 4);
    if (METADATA_ITEMS.has(ascii(bytes, entry.body + (wide ? 10 : 8), 4))) said.add(item);
  }
  return said;
}

interface Extent {
  readonly item: number;
  readonly start: number;
  readonly end: number;
}

/** Where the bytes of each item are (ISO/IEC 14496-12, 8.11.3). */
function extents(bytes: Uint8Array, iloc: Box | undefined, dataStart: number): Extent[] {
  if (!iloc) return [];
  const data = view(bytes);
  let at = iloc.body + 4;
  const version = bytes[iloc.body] ?? 0;
  const number = (size: number): number => {
    if (at + size > iloc.end) throw new MalformedFileError();
    at += size;
    if (size === 8) return Number(data.getBigUint64(at - 8));
    return size === 4 ? data.getUint32(at - 4) : size === 2 ? data.getUint16(at - 2) : 0;
  };
  const sizes = number(2);
  const [offsetSize, lengthSize, baseSize, indexSize] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15, version > 0 ? sizes & 15 : 0];
  const found: Extent[] = [];
  for (let items = number(version < 2 ? 2 : 4); items > 0; items--) {
    const item = number(version < 2 ? 2 : 4);
    const inData = version > 0 && (number(2) & 15) === 1;
    number(2);
    const base = number(baseSize) + (inData ? dataStart : 0);
    for (let parts = number(2); parts > 0; parts--) {
      number(indexSize);
      const start = base + number(offsetSize);
      found.push({ item, start, end: start + number(lengthSize) });
    }
  }
  return found;
}
