import { type DrawnRows, ListWindow } from "@parley/client/lists";
import { type RefObject, useCallback, useEffect, useLayoutEffect, useReducer, useRef, useState } from "react";

export interface WindowedList<L extends HTMLElement> extends Omit<DrawnRows, "start" | "end"> {
  /** The element that scrolls. */
  readonly box: RefObject<HTMLDivElement | null>;
  /** The element whose children are the rows, each with its key as `data-key`. */
  readonly list: RefObject<L | null>;
  readonly onScroll: () => void;
  /** The reader is where the list grows, and what arrives is followed. */
  readonly following: boolean;
  /** To where the list grows. */
  readonly toHome: () => void;
  /** Brings a row into sight, and calls back with its element. */
  readonly reveal: (key: string, then?: (row: HTMLElement) => void) => void;
  /** The focus came to a row: the one that is always drawn may stand elsewhere than where it belongs. */
  readonly focusCame: (key: string) => void;
}

// React warns of a layout effect on a server, where it would do nothing.
const useAfterDrawing = typeof document === "undefined" ? useEffect : useLayoutEffect;

/**
 * Draws of a long list what is near the reader's place, and keeps that place when rows come, go, move or change their
 * height. The row with the key `kept` is drawn wherever it is: the one that has the focus, or gets it.
 */
export function useWindow<L extends HTMLElement>(keys: readonly string[], grows: "start" | "end", kept?: string): WindowedList<L> {
  const box = useRef<HTMLDivElement>(null);
  const list = useRef<L>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const [shown] = useState(() => new ListWindow(grows, redraw));
  const drawn = shown.draw(keys, kept === undefined ? [] : [kept]);
  useAfterDrawing(() => {
    if (box.current && list.current) shown.settle({ box: box.current, list: list.current }, keys, drawn);
  });
  // Anew when a list comes that was empty before.
  const empty = keys.length === 0;
  useEffect(() => shown.observe(), [shown, empty]);
  const onScroll = useCallback(() => shown.scrolled(), [shown]);
  const toHome = useCallback(() => shown.toHome(), [shown]);
  const reveal = useCallback<WindowedList<L>["reveal"]>((key, then) => shown.reveal(key, then), [shown]);
  const focusCame = useCallback((key: string) => shown.focusCame(key), [shown]);
  const { indexes, beforePx, afterPx } = drawn;
  return { indexes, beforePx, afterPx, box, list, onScroll, following: shown.following, toHome, reveal, focusCame };
}
