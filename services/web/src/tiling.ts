export interface Tiling {
  readonly columns: number;
  /** Of each tile, in pixels. */
  readonly width: number;
  readonly height: number;
}

/** Faces look well between a phone's upright picture and a camera's wide one. */
const WIDEST = 16 / 9;
const TALLEST = 3 / 4;

/** How `count` tiles fill an area best: those columns that give each the most room. All in pixels. */
export function tile(count: number, width: number, height: number, gap: number): Tiling {
  let best: Tiling = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns);
    const found = fit((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows);
    if (found.width * found.height > best.width * best.height) best = { columns, ...found };
  }
  return best;
}

function fit(width: number, height: number): { width: number; height: number } {
  const [w, h] = [Math.max(0, width), Math.max(0, height)];
  return { width: Math.floor(Math.min(w, h * WIDEST)), height: Math.floor(Math.min(h, w / TALLEST)) };
}
