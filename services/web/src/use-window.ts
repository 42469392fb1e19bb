import type { RefObject } from "preact";
import { type DrawnRows, ListWindow } from "@parley/client/lists";
import { useCallback, useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";

interface WindowedList extends Pick<DrawnRows, "indexes" | "beforePx" | "afterPx"> {
  /** The element that scrolls. */
  readonly box: RefObject<HTMLElement | null>;
  /** The element whose children are the rows, each with its key as `data-key`. */
  readonly list: RefObject<HTMLUListElement | null>;
  readonly onScroll: () => void;
  /** Brings a row into sight, and calls back with its element. */
  readonly reveal: (key: string, then?: (row: HTMLElement) => void) => void;
  /** The focus came to a row: the one that is always drawn may stand elsewhere than where it belongs. */
  readonly focusCame: (key: string) => void;
}

/**
 * Draws of a long list, in which what is new comes first, what is near the reader's place. The row with the key `kept` is
 * drawn wherever it is: the one that has the focus, or gets it.
 */
export function useWindow(keys: readonly string[], kept: string | undefined): WindowedList {
  const box = useRef<HTMLElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const [shown] = useState(() => new ListWindow("start", () => redraw(undefined)));
  const drawn = shown.draw(keys, kept === undefined ? [] : [kept]);
  useLayoutEffect(() => {
    if (box.current && list.current) shown.settle({ box: box.current, list: list.current }, keys, drawn);
  });
  useEffect(() => shown.observe(), [shown]);
  const onScroll = useCallback(() => shown.scrolled(), [shown]);
  const reveal = useCallback<WindowedList["reveal"]>((key, then) => shown.reveal(key, then), [shown]);
  const focusCame = useCallback((key: string) => shown.focusCame(key), [shown]);
  const { indexes, beforePx, afterPx } = drawn;
  return { indexes, beforePx, afterPx, box, list, onScroll, reveal, focusCame };
}
