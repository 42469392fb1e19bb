import type { RefObject } from "preact";
import { type DrawnRows, ListWindow } from "@parley/client/lists";
import { useCallback, useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";

interface WindowedList<B extends HTMLElement, L extends HTMLElement> extends Pick<DrawnRows, "indexes" | "beforePx" | "afterPx"> {
  /** The element that scrolls. */
  readonly box: RefObject<B | null>;
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

/**
 * Draws of a long list what is near the reader's place, and keeps that place when rows come, go, move or change their height.
 * The rows with the `kept` keys are drawn wherever they are: those that have the focus, or get it.
 */
export function useWindow<B extends HTMLElement, L extends HTMLElement>(keys: readonly string[], grows: "start" | "end", kept: readonly string[]): WindowedList<B, L> {
  const box = useRef<B>(null);
  const list = useRef<L>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const [shown] = useState(() => new ListWindow(grows, () => redraw(undefined)));
  const drawn = shown.draw(keys, kept);
  useLayoutEffect(() => {
    if (box.current && list.current) shown.settle({ box: box.current, list: list.current }, keys, drawn);
  });
  useEffect(() => shown.observe(), [shown]);
  const onScroll = useCallback(() => shown.scrolled(), [shown]);
  const toHome = useCallback(() => shown.toHome(), [shown]);
  const reveal = useCallback<WindowedList<B, L>["reveal"]>((key, then) => shown.reveal(key, then), [shown]);
  const focusCame = useCallback((key: string) => shown.focusCame(key), [shown]);
  const { indexes, beforePx, afterPx } = drawn;
  return { indexes, beforePx, afterPx, box, list, onScroll, following: shown.following, toHome, reveal, focusCame };
}

/** Of the row that an element is in. */
export function keyOf(element: EventTarget | null): string | undefined {
  return (element as Element | null)?.closest<HTMLElement>("[data-key]")?.dataset["key"];
}
