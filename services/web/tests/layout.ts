import { vi } from "vitest";

/** As high as a row of the list is in the tests that scroll it. */
export const ROW_PX = 60;
/** As much of the list as one sees. */
export const SEEN_PX = 600;

const insetOf = (list: Element, side: "padding-top" | "padding-bottom"): number => {
  const style = (list as HTMLElement).style;
  return Number.parseFloat(side === "padding-top" ? style.paddingBlockStart : style.paddingBlockEnd) || 0;
};

/** Rows of another height, by their keys. */
export const heights = new Map<string, number>();

/** Where things of a list are, as a browser would lay it out: jsdom lays out nothing. Undone with the stubs and spies. */
export function layOutList(boxSelector: string, listSelector = "ul"): void {
  const isBox = (element: Element): boolean => element.matches(boxSelector);
  const listIn = (box: Element): Element | null => box.querySelector(listSelector);
  const heightOf = (list: Element | null): number => (list ? insetOf(list, "padding-top") + insetOf(list, "padding-bottom") + heightOfRows([...list.children]) : 0);
  const rowPx = (row: Element): number => heights.get((row as HTMLElement).dataset["key"] ?? "") ?? ROW_PX;
  const heightOfRows = (rows: readonly Element[]): number => rows.reduce((sum, row) => sum + rowPx(row), 0);
  const rect = (top: number, height: number): DOMRect => ({ top, bottom: top + height, height, left: 0, right: 300, width: 300, x: 0, y: top }) as DOMRect;
  vi.spyOn(Element.prototype, "clientHeight", "get").mockImplementation(function (this: Element) {
    return isBox(this) ? SEEN_PX : 0;
  });
  vi.spyOn(Element.prototype, "scrollHeight", "get").mockImplementation(function (this: Element) {
    return isBox(this) ? heightOf(listIn(this)) : 0;
  });
  vi.spyOn(Element.prototype, "getBoundingClientRect").mockImplementation(function (this: Element) {
    const box = this.closest(boxSelector);
    const list = this.closest(listSelector);
    if (!box || !list) return rect(0, this === box ? SEEN_PX : 0);
    const rows = [...list.children];
    const at = rows.findIndex((child) => child.contains(this));
    if (at < 0) return rect(-box.scrollTop, heightOf(list));
    return rect(insetOf(list, "padding-top") + heightOfRows(rows.slice(0, at)) - box.scrollTop, rowPx(rows[at] as Element));
  });
}
