/** Which rows of a long list are drawn. Heights are known of rows that were drawn once; the others are guessed. */

/** Where a row stands: so far below the upper edge of what is seen (negative: above it). */
export interface RowPlace {
  readonly key: string;
  readonly index: number;
  readonly offsetPx: number;
}

/** Where the reader is: at an end of the list, which is followed, or where a row stands. */
export type Place = "start" | "end" | RowPlace;

export interface Window {
  /** The first row that is drawn, and the one after the last. */
  readonly start: number;
  readonly end: number;
  /** What stands in for the rows before and after. */
  readonly beforePx: number;
  readonly afterPx: number;
}

/** A window with rows that are drawn wherever the reader is. */
export interface DrawnRows extends Window {
  /** All that is drawn, ascending. */
  readonly indexes: readonly number[];
}

/** Of a row that was never drawn: near the height of a short message. */
export const GUESS_PX = 52;
/** So much is drawn beyond what is seen, above and below. Raising it draws more rows; lowering it shows blanks to fast scrolling. */
export const BEYOND_PX = 800;

/** What is known of the rows' heights, and what is taken of the others. */
export interface Heights {
  readonly known: ReadonlyMap<string, number>;
  readonly guessPx: number;
}

export const heightOf = ({ known, guessPx }: Heights, key: string | undefined): number => known.get(key ?? "") ?? guessPx;

/** The index of a place's row. A row that is gone is stood in for by the one at its index. */
export function indexOf(place: RowPlace, keys: readonly string[]): number {
  if (keys[place.index] === place.key) return place.index;
  const found = keys.indexOf(place.key);
  return found >= 0 ? found : Math.max(0, Math.min(place.index, keys.length - 1));
}

/**
 * Where rows that were seen are in a list that has changed, the one to keep to first. That is the one whose index changed
 * least: rows that came or went elsewhere shift all alike, and one that went elsewhere itself is not followed there.
 */
export function follow(seen: readonly RowPlace[], keys: readonly string[]): readonly RowPlace[] {
  if (seen.every(({ key, index }) => keys[index] === key)) return seen;
  const now = seen.map((row) => ({ ...row, index: keys[row.index] === row.key ? row.index : keys.indexOf(row.key), before: row.index }));
  const shifts = now.map(({ index, before }) => (index < 0 ? Number.POSITIVE_INFINITY : Math.abs(index - before)));
  const least = Math.min(...shifts);
  const stayed = now.filter((_, i) => shifts[i] === least && least !== Number.POSITIVE_INFINITY).map(({ key, index, offsetPx }) => ({ key, index, offsetPx }));
  if (stayed.length > 0 || keys.length === 0) return stayed;
  return seen.slice(0, 1).map(({ index, offsetPx }) => rowPlace(keys, Math.min(index, keys.length - 1), offsetPx));
}

/** The row at a distance from the list's begin, and how far above that its own begin is. */
export function rowAt(keys: readonly string[], heights: Heights, topPx: number): RowPlace {
  let aboveY = 0;
  let index = 0;
  while (index < keys.length - 1) {
    const height = heightOf(heights, keys[index]);
    if (aboveY + height > topPx) break;
    aboveY += height;
    index++;
  }
  return rowPlace(keys, index, aboveY - topPx);
}

/** What to draw for somebody at `place` who sees `viewportPx`. */
export function windowFor(keys: readonly string[], heights: Heights, place: Place, viewportPx: number, beyondPx = BEYOND_PX): Window {
  const tops = [0];
  for (const [i, key] of keys.entries()) tops.push((tops[i] as number) + heightOf(heights, key));
  const total = tops.at(-1) as number;
  const [from, until] = [topOf(place, keys, tops, viewportPx) - beyondPx, topOf(place, keys, tops, viewportPx) + viewportPx + beyondPx];
  let start = 0;
  while (start < keys.length - 1 && (tops[start + 1] as number) <= from) start++;
  let end = Math.min(start + 1, keys.length);
  while (end < keys.length && (tops[end] as number) < until) end++;
  return { start, end, beforePx: tops[start] as number, afterPx: total - (tops[end] as number) };
}

/** Draws other rows too: they stand right beside the window, beyond what is seen, and the list is as high as before. */
export function withKept(near: Window, keys: readonly string[], heights: Heights, kept: readonly string[]): DrawnRows {
  const { start, end } = near;
  const others = [...new Set(kept)].map((key) => keys.indexOf(key)).filter((index) => index >= 0 && (index < start || index >= end)).sort((a, b) => a - b);
  const before = others.filter((index) => index < start);
  const after = others.filter((index) => index >= end);
  const highOf = (indexes: readonly number[]): number => indexes.reduce((sum, index) => sum + heightOf(heights, keys[index]), 0);
  const inside = Array.from({ length: end - start }, (_, i) => start + i);
  return { start, end, beforePx: near.beforePx - highOf(before), afterPx: near.afterPx - highOf(after), indexes: [...before, ...inside, ...after] };
}

function rowPlace(keys: readonly string[], index: number, offsetPx: number): RowPlace {
  return { key: keys[index] ?? "", index, offsetPx };
}

function topOf(place: Place, keys: readonly string[], tops: readonly number[], viewportPx: number): number {
  if (place === "start") return 0;
  return place === "end" ? (tops.at(-1) as number) - viewportPx : (tops[indexOf(place, keys)] ?? 0) - place.offsetPx;
}
