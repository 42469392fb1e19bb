import { type RefObject, useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "react";
import { BEYOND_PX, type Place, rowAt, type Window, windowFor } from "./windowing.js";

/** So close to the end, the list follows what arrives. */
const FOLLOW_PX = 80;
/** Where there is no layout: on a server, or in a test. */
const VIEWPORT_PX = 800;

export interface WindowedList extends Window {
  /** The element that scrolls. */
  readonly box: RefObject<HTMLDivElement | null>;
  /** The element whose children are the rows, each with its key as `data-key`. */
  readonly list: RefObject<HTMLOListElement | null>;
  readonly onScroll: () => void;
  /** The reader is at the end, and what arrives is followed. */
  readonly following: boolean;
  readonly toEnd: () => void;
}

// React warns of a layout effect on a server, where it would do nothing.
const useAfterDrawing = typeof document === "undefined" ? useEffect : useLayoutEffect;

/** Draws of a long list what is near the reader's place, and keeps that place when rows come, go or change their height. */
export function useWindow(keys: readonly string[]): WindowedList {
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const [heights] = useState(() => new Map<string, number>());
  // The reader's place is known between drawings too: scrolling alone draws nothing while there is enough beyond what is seen.
  const place = useRef<Place>("end");
  const [following, setFollowing] = useState(true);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const viewportPx = box.current?.clientHeight || VIEWPORT_PX;
  const drawn = windowFor(keys, heights, place.current, viewportPx);
  const latest = useRef({ keys, drawn });

  /** Measures what is drawn, puts the reader's place back, and draws again where that shows rows which are not there. */
  const settle = useCallback(() => {
    const [outer, inner] = [box.current, list.current];
    if (!outer || !inner) return;
    for (const row of inner.children) {
      const { key } = (row as HTMLElement).dataset;
      const height = row.getBoundingClientRect().height;
      if (key !== undefined && height > 0) heights.set(key, height);
    }
    restore(outer, inner, place.current);
    const now = latest.current;
    const needed = windowFor(now.keys, heights, place.current, outer.clientHeight || VIEWPORT_PX, BEYOND_PX / 2);
    if (needed.start < now.drawn.start || needed.end > now.drawn.end) redraw();
  }, [heights]);

  useAfterDrawing(() => {
    latest.current = { keys, drawn };
    settle();
  });
  useEffect(() => {
    if (typeof ResizeObserver === "undefined") return undefined;
    const observer = new ResizeObserver(settle);
    for (const element of [box.current, list.current]) if (element) observer.observe(element);
    return () => observer.disconnect();
  }, [settle]);

  const onScroll = useCallback(() => {
    const [outer, inner] = [box.current, list.current];
    if (!outer || !inner) return;
    const now = latest.current;
    const atEnd = outer.scrollHeight - outer.scrollTop - outer.clientHeight < FOLLOW_PX;
    place.current = atEnd ? "end" : placeIn(outer, inner, now.keys, heights, now.drawn);
    setFollowing(atEnd);
    const needed = windowFor(now.keys, heights, place.current, outer.clientHeight || VIEWPORT_PX, BEYOND_PX / 2);
    if (needed.start < now.drawn.start || needed.end > now.drawn.end) redraw();
  }, [heights]);
  const toEnd = useCallback(() => {
    place.current = "end";
    setFollowing(true);
    redraw();
  }, []);
  const { start, end, beforePx, afterPx } = drawn;
  return useMemo(
    () => ({ start, end, beforePx, afterPx, box, list, onScroll, following, toEnd }),
    [start, end, beforePx, afterPx, onScroll, following, toEnd],
  );
}

/** Scrolls to where the reader was. */
function restore(outer: HTMLElement, inner: HTMLElement, place: Place): void {
  if (place === "end") {
    const endPx = outer.scrollHeight - outer.clientHeight;
    if (Math.abs(outer.scrollTop - endPx) >= 1) outer.scrollTop = endPx;
    return;
  }
  const row = [...inner.children].find((child) => (child as HTMLElement).dataset.key === place.key);
  if (!row) return;
  const movedPx = row.getBoundingClientRect().top - outer.getBoundingClientRect().top - place.offsetPx;
  if (Math.abs(movedPx) >= 1) outer.scrollTop += movedPx;
}

/** The first row that is seen; where the reader has jumped beyond what is drawn, the one that is to be there. */
function placeIn(outer: HTMLElement, inner: HTMLElement, keys: readonly string[], heights: ReadonlyMap<string, number>, drawn: Window): Place {
  const edgePx = outer.getBoundingClientRect().top;
  const rows = [...inner.children] as HTMLElement[];
  const index = rows.findIndex((row) => row.getBoundingClientRect().bottom > edgePx);
  const row = rows[index];
  const topPx = row?.getBoundingClientRect().top ?? 0;
  if (row?.dataset.key !== undefined && topPx - edgePx < outer.clientHeight) return { key: row.dataset.key, index: drawn.start + index, offsetPx: topPx - edgePx };
  return rowAt(keys, heights, edgePx - inner.getBoundingClientRect().top);
}
