/** Which rows of a long list are drawn. Heights are known of rows that were drawn once; the others are guessed. */

/** Where the reader is: at the end, following what arrives, or where a row stands so far below the upper edge (negative: above it). */
export type Place = "end" | { readonly key: string; readonly index: number; readonly offsetPx: number };

export interface Window {
  /** The first row that is drawn, and the one after the last. */
  readonly start: number;
  readonly end: number;
  /** What stands in for the rows before and after. */
  readonly beforePx: number;
  readonly afterPx: number;
}

/** Of a row that was never drawn: near the height of a short message. */
export const GUESS_PX = 52;
/** So much is drawn beyond what is seen, above and below. Raising it draws more rows; lowering it shows blanks to fast scrolling. */
export const BEYOND_PX = 800;

export type Heights = ReadonlyMap<string, number>;

const heightOf = (heights: Heights, key: string): number => heights.get(key) ?? GUESS_PX;

/** The index of a place's row. A row that is gone is stood in for by the one at its index. */
export function indexOf(place: Exclude<Place, "end">, keys: readonly string[]): number {
  if (keys[place.index] === place.key) return place.index;
  const found = keys.indexOf(place.key);
  return found >= 0 ? found : Math.max(0, Math.min(place.index, keys.length - 1));
}

/** The row at a distance from the list's begin, and how far above that its own begin is. */
export function rowAt(keys: readonly string[], heights: Heights, topPx: number): Exclude<Place, "end"> {
  let aboveY = 0;
  let index = 0;
  while (index < keys.length - 1) {
    const height = heightOf(heights, keys[index] as string);
    if (aboveY + height > topPx) break;
    aboveY += height;
    index++;
  }
  return { key: keys[index] ?? "", index, offsetPx: aboveY - topPx };
}

/** What to draw for somebody at `place` who sees `viewportPx`. */
export function windowFor(keys: readonly string[], heights: Heights, place: Place, viewportPx: number, beyondPx = BEYOND_PX): Window {
  const tops = [0];
  for (const key of keys) tops.push((tops.at(-1) as number) + heightOf(heights, key));
  const total = tops.at(-1) as number;
  const seenFrom = place === "end" ? total - viewportPx : (tops[indexOf(place, keys)] ?? 0) - place.offsetPx;
  const [from, until] = [seenFrom - beyondPx, seenFrom + viewportPx + beyondPx];
  let start = 0;
  while (start < keys.length - 1 && (tops[start + 1] as number) <= from) start++;
  let end = Math.min(start + 1, keys.length);
  while (end < keys.length && (tops[end] as number) < until) end++;
  return { start, end, beforePx: tops[start] as number, afterPx: total - (tops[end] as number) };
}
