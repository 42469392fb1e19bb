/**
 * Long lists of which a page draws only what is near the reader: `@parley/client/lists`. It takes in nothing else of the
 * library, and knows no framework: a hook of a few lines makes one of it.
 */
import { BEYOND_PX, type DrawnRows, follow, GUESS_PX, heightOf, type Place, rowAt, type RowPlace, type Window, windowFor, withKept } from "./core/windowing.js";

export type { DrawnRows } from "./core/windowing.js";

/** So close to the end, a list that grows there follows what arrives. */
const FOLLOW_PX = 80;
/** Where there is no layout: on a server, or in a test. */
const VIEWPORT_PX = 800;
/** So many of the rows in sight are remembered: when one goes elsewhere, the next tell where the reader was. */
const REMEMBERED = 3;

/** The elements of a list. */
export interface ListElements {
  /** The element that scrolls. It has to have `overflow-anchor: none`: two that keep the reader's place would undo each other's work. */
  readonly box: HTMLElement;
  /** The element whose children are the drawn rows, each with its key as `data-key`, and what stands in for the others as its padding. */
  readonly list: HTMLElement;
}

/**
 * Says what to draw of a long list, and keeps the reader's place and the focus when rows come, go, move or change their
 * height. Call `draw` while drawing, `settle` right after it, and `scrolled` on each scroll event of the box.
 */
export class ListWindow {
  /** The reader is where the list grows, and what arrives there is followed. */
  following = true;
  // The reader's place is known between drawings too: scrolling alone draws nothing while there is enough beyond what is seen.
  private place: "start" | "end" | readonly RowPlace[];
  private readonly known = new Map<string, number>();
  private guessPx: number | undefined;
  private elements: ListElements | undefined;
  private keys: readonly string[] = [];
  private drawn: Window = { start: 0, end: 0, beforePx: 0, afterPx: 0 };
  private focused: HTMLElement | undefined;
  private wanted: { readonly key: string; readonly shown: (row: HTMLElement) => void } | undefined;

  /** `grows`: where what is new stands. Rows of a list that grows at its start are taken to be about as high as the first that were drawn. */
  constructor(
    private readonly grows: "start" | "end",
    private readonly redraw: () => void,
  ) {
    this.place = grows;
  }

  /** What to draw of these rows; those with a `kept` key are drawn wherever they are. Takes note of what has the focus. */
  draw(keys: readonly string[], kept: readonly string[] = []): DrawnRows {
    const { list } = this.elements ?? {};
    this.focused = list?.contains(list.ownerDocument.activeElement) ? (list.ownerDocument.activeElement as HTMLElement) : undefined;
    return withKept(windowFor(keys, this.heights, firstOf(this.placeIn(keys)), this.viewportPx), keys, this.heights, kept);
  }

  /** Measures what was drawn, puts the reader's place and the focus back, and draws again where that shows rows which are not there. */
  settle(elements: ListElements, keys: readonly string[], drawn: Window): void {
    this.elements = elements;
    this.place = this.placeIn(keys);
    this.keys = keys;
    this.drawn = drawn;
    const guessed = this.guessPx;
    this.measure(elements.list);
    restore(elements, firstOf(this.place));
    // A row that was moved within the page has lost it to nobody. What was drawn together with the rows, such as a menu, may have taken it.
    if (this.focused?.isConnected && isNowhere(this.focused.ownerDocument)) this.focused.focus({ preventScroll: true });
    this.focused = undefined;
    this.showWanted();
    if (guessed !== this.guessPx) this.redraw();
    else this.redrawIfNeeded();
  }

  /** Settles when the box or a row changes its height. Returns what ends that. */
  observe(): () => void {
    const { elements } = this;
    if (!elements || typeof ResizeObserver === "undefined") return () => undefined;
    const observer = new ResizeObserver(() => this.settle(this.elements ?? elements, this.keys, this.drawn));
    for (const element of [elements.box, elements.list]) observer.observe(element);
    return () => observer.disconnect();
  }

  /** The box was scrolled. */
  scrolled(): void {
    const { elements } = this;
    // A list that is hidden shows nobody a place.
    if (!elements || elements.box.clientHeight === 0) return;
    const { scrollTop, scrollHeight, clientHeight } = elements.box;
    const atHome = this.grows === "end" ? scrollHeight - scrollTop - clientHeight < FOLLOW_PX : scrollTop < 1;
    this.place = atHome ? this.grows : this.look(elements);
    const turned = this.following !== atHome;
    this.following = atHome;
    if (turned) this.redraw();
    else this.redrawIfNeeded();
  }

  /** To where the list grows. */
  toHome(): void {
    this.place = this.grows;
    this.following = true;
    this.redraw();
  }

  /** Brings a row into sight, as little as that needs, and calls `then` with its element. Nothing happens without such a row. */
  reveal(key: string, then: (row: HTMLElement) => void = () => undefined): void {
    const index = this.keys.indexOf(key);
    if (index < 0 || !this.elements) return;
    const row = this.rowOf(key);
    if (row && index >= this.drawn.start && index < this.drawn.end) {
      this.bringIntoSight(this.elements.box, row);
      return then(row);
    }
    this.wanted = { key, shown: then };
    if (index === 0 && this.grows === "start") return this.toHome();
    const offsetPx = index < this.drawn.start ? 0 : Math.max(0, this.viewportPx - heightOf(this.heights, key));
    this.place = [{ key, index, offsetPx }];
    this.following = false;
    this.redraw();
  }

  /** The focus came to a row. One that is drawn only because it is kept is brought to its place; any other the browser has in sight. */
  focusCame(key: string): void {
    const index = this.keys.indexOf(key);
    if (index >= 0 && (index < this.drawn.start || index >= this.drawn.end)) this.reveal(key);
  }

  private get heights(): { known: ReadonlyMap<string, number>; guessPx: number } {
    return { known: this.known, guessPx: this.guessPx ?? GUESS_PX };
  }

  private get viewportPx(): number {
    return this.elements?.box.clientHeight || VIEWPORT_PX;
  }

  private placeIn(keys: readonly string[]): "start" | "end" | readonly RowPlace[] {
    if (typeof this.place === "string") return this.place;
    const rows = follow(this.place, keys);
    return rows.length > 0 ? rows : this.grows;
  }

  private rowOf(key: string): HTMLElement | undefined {
    return rowsOf(this.elements?.list).find((row) => row.dataset.key === key);
  }

  private measure(list: HTMLElement): void {
    for (const row of rowsOf(list)) {
      const { key } = row.dataset;
      const height = row.getBoundingClientRect().height;
      if (key !== undefined && height > 0) this.known.set(key, height);
    }
    if (this.grows === "end" || this.guessPx !== undefined || this.known.size === 0) return;
    this.guessPx = [...this.known.values()].reduce((sum, height) => sum + height, 0) / this.known.size;
  }

  /** The first rows in sight; where the reader has jumped beyond what is drawn, the one that is to be there. */
  private look({ box, list }: ListElements): readonly RowPlace[] {
    const edgePx = box.getBoundingClientRect().top;
    const seen: RowPlace[] = [];
    for (const row of rowsOf(list)) {
      const { top, bottom } = row.getBoundingClientRect();
      const key = row.dataset.key;
      const index = key === undefined ? -1 : this.keys.indexOf(key, this.drawn.start);
      if (key === undefined || index < 0 || index >= this.drawn.end || bottom <= edgePx) continue;
      if (top - edgePx >= box.clientHeight || seen.length === REMEMBERED) break;
      seen.push({ key, index, offsetPx: top - edgePx });
    }
    return seen.length > 0 ? seen : [rowAt(this.keys, this.heights, edgePx - list.getBoundingClientRect().top)];
  }

  private bringIntoSight(box: HTMLElement, row: HTMLElement): void {
    const [outer, inner] = [box.getBoundingClientRect(), row.getBoundingClientRect()];
    const beyondPx = Math.min(0, inner.top - outer.top) || Math.max(0, inner.bottom - outer.bottom);
    if (Math.abs(beyondPx) < 1) return;
    box.scrollTop += beyondPx;
    // Before its event comes, a drawing would go back to where the reader was.
    this.scrolled();
  }

  private showWanted(): void {
    const { wanted } = this;
    const index = wanted ? this.keys.indexOf(wanted.key) : -1;
    if (!wanted || (index >= 0 && (index < this.drawn.start || index >= this.drawn.end))) return;
    this.wanted = undefined;
    const row = this.rowOf(wanted.key);
    if (row) wanted.shown(row);
  }

  private redrawIfNeeded(): void {
    const needed = windowFor(this.keys, this.heights, firstOf(this.place), this.viewportPx, BEYOND_PX / 2);
    if (needed.start < this.drawn.start || needed.end > this.drawn.end) this.redraw();
  }
}

const firstOf = (place: "start" | "end" | readonly RowPlace[]): Place => (typeof place === "string" ? place : (place[0] as RowPlace));

const rowsOf = (list: HTMLElement | undefined): HTMLElement[] => [...(list?.children ?? [])] as HTMLElement[];

/** Scrolls to where the reader was. */
function restore({ box, list }: ListElements, place: Place): void {
  if (typeof place === "string") {
    const wantedPx = place === "start" ? 0 : box.scrollHeight - box.clientHeight;
    if (Math.abs(box.scrollTop - wantedPx) >= 1) box.scrollTop = wantedPx;
    return;
  }
  const row = rowsOf(list).find(({ dataset }) => dataset.key === place.key);
  if (!row) return;
  const movedPx = row.getBoundingClientRect().top - box.getBoundingClientRect().top - place.offsetPx;
  if (Math.abs(movedPx) >= 1) box.scrollTop += movedPx;
}

/** Whether nothing of the page has the focus. */
function isNowhere({ activeElement, body }: Document): boolean {
  return activeElement === null || activeElement === body;
}
