import { type Box, boxes } from "./boxes.js";
import { MalformedFileError, view } from "./bytes.js";

const WAY = ["mdia", "minf", "stbl"];

/** The ranges of a track's samples in the file, by its tables (ISO/IEC 14496-12, 8.7). Throws MalformedFileError. */
export function samplesOf(bytes: Uint8Array, trak: Box): { readonly start: number; readonly end: number }[] {
  let within: Box = trak;
  for (const step of WAY) {
    const next = boxes(bytes, within.body, within.end).find(({ name }) => name === step);
    if (!next) return [];
    within = next;
  }
  const tables = new Map(boxes(bytes, within.body, within.end).map((box) => [box.name, box]));
  const [sizes, runs] = [sizesOf(bytes, tables.get("stsz")), runsOf(bytes, tables.get("stsc"))];
  let sample = 0;
  return offsetsOf(bytes, tables).map((start, chunk) => {
    const count = runs.findLast(({ first }) => first <= chunk + 1)?.count ?? 0;
    let end = start;
    for (const stop = sample + count; sample < stop; sample++) end += sizes(sample);
    if (end > bytes.length) throw new MalformedFileError();
    return { start, end };
  });
}

function offsetsOf(bytes: Uint8Array, tables: ReadonlyMap<string, Box>): number[] {
  const [short, long] = [tables.get("stco"), tables.get("co64")];
  const data = view(bytes);
  if (short) return rows(bytes, short, 4).map((at) => data.getUint32(at));
  return long ? rows(bytes, long, 8).map((at) => Number(data.getBigUint64(at))) : [];
}

/** The number of samples in each chunk, as runs that begin at a chunk. */
function runsOf(bytes: Uint8Array, table: Box | undefined): { readonly first: number; readonly count: number }[] {
  const data = view(bytes);
  return table ? rows(bytes, table, 12).map((at) => ({ first: data.getUint32(at), count: data.getUint32(at + 4) })) : [];
}

function sizesOf(bytes: Uint8Array, table: Box | undefined): (sample: number) => number {
  if (!table) throw new MalformedFileError();
  const data = view(bytes);
  const same = data.getUint32(table.body + 4);
  if (same) return () => same;
  const first = table.body + 12;
  return (sample) => {
    if (first + 4 * sample + 4 > table.end) throw new MalformedFileError();
    return data.getUint32(first + 4 * sample);
  };
}

/** Where the rows of a table begin, after its version, flags and count. */
function rows(bytes: Uint8Array, { body, end }: Box, size: number): number[] {
  const count = view(bytes).getUint32(body + 4);
  if (body + 8 + count * size > end) throw new MalformedFileError();
  return Array.from({ length: count }, (_, i) => body + 8 + i * size);
}
