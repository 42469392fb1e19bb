import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";

/** Something that tells of its changes. */
export interface Subscribable {
  subscribe(listener: () => void): () => void;
}

/** Draws the component again after each change of its source: the client, or the session. */
export function useChanges(source: Subscribable): void {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    // What changed between drawing and subscribing would otherwise stay unseen.
    redraw(undefined);
    return source.subscribe(() => redraw(undefined));
  }, [source]);
}

/** The time, moving on every `stepMs`. */
export function useNow(stepMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), stepMs);
    return () => clearInterval(timer);
  }, [stepMs]);
  return now;
}

/** Whether the user can see the page and works in it. */
export function useAttention(): boolean {
  const look = (): boolean => document.visibilityState === "visible" && document.hasFocus();
  const [attentive, setAttentive] = useState(look());
  useEffect(() => {
    const update = (): void => setAttentive(look());
    update();
    const targets = [
      [document, "visibilitychange"],
      [window, "focus"],
      [window, "blur"],
    ] as const;
    for (const [target, event] of targets) target.addEventListener(event, update);
    return () => {
      for (const [target, event] of targets) target.removeEventListener(event, update);
    };
  }, []);
  return attentive;
}

/** Whether the browser believes that there is a network. */
export function useOnline(): boolean {
  const [online, setOnline] = useState(navigator.onLine);
  useEffect(() => {
    const update = (): void => setOnline(navigator.onLine);
    // What changed between drawing and listening would otherwise stay unseen.
    update();
    for (const event of ["online", "offline"]) addEventListener(event, update);
    return () => {
      for (const event of ["online", "offline"]) removeEventListener(event, update);
    };
  }, []);
  return online;
}

/** Runs `onEscape` on the Escape key, unless something inside, or a window over the page, has used it. */
export function useEscape(onEscape: (() => void) | undefined): void {
  useEffect(() => {
    if (!onEscape) return undefined;
    const listen = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) onEscape();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [onEscape]);
}

/**
 * Takes the focus into a dialog and gives it back at the end. It goes to the dialog rather than to a button of it:
 * whoever is typing when it opens would press that button with the next Enter or space.
 */
export function useDialogFocus(): RefObject<HTMLDivElement | null> {
  const dialog = useRef<HTMLDivElement | null>(null);
  // Read while drawing: once the page behind is inert, its focus is gone.
  const before = useRef(document.activeElement);
  useEffect(() => {
    dialog.current?.focus();
    return () => {
      if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus();
    };
  }, []);
  return dialog;
}

/** An element's size in pixels, as it changes; nothing until it is drawn. */
export function useSize<T extends HTMLElement>(): [RefObject<T | null>, { width: number; height: number }] {
  const element = useRef<T | null>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return undefined;
    const measure = (): void => setSize({ width: box.clientWidth, height: box.clientHeight });
    const observer = new ResizeObserver(measure);
    measure();
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [element, size];
}

/** Focuses an element when it appears, and never again. */
export function useFocusOnce<T extends HTMLElement>(wanted = true): RefObject<T | null> {
  const element = useRef<T | null>(null);
  useEffect(() => {
    if (wanted) element.current?.focus();
  }, []);
  return element;
}

/** So long a finger rests, in milliseconds, before it means the menu. */
const LONG_PRESS_MS = 450;

/** Listeners that call back when a finger rests on an element; a mouse has other ways. The tap that ends it does nothing more. */
export function useLongPress(onPress: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const pressed = useRef(false);
  const cancel = (): void => clearTimeout(timer.current);
  useEffect(() => cancel, []);
  const press = (): void => {
    pressed.current = true;
    onPress();
  };
  return {
    onPointerDown: (event: PointerEvent): void => {
      cancel();
      pressed.current = false;
      if (event.pointerType === "touch") timer.current = setTimeout(press, LONG_PRESS_MS);
    },
    onPointerUp: cancel,
    onPointerMove: cancel,
    onPointerCancel: cancel,
    onClickCapture: (event: Event): void => {
      if (!pressed.current) return;
      pressed.current = false;
      event.preventDefault();
      event.stopPropagation();
    },
  };
}

/** Calls back when an element comes into view; anew for each value of `of`. */
export function useOnSeen<T extends HTMLElement>(onSeen: () => void, of: unknown = undefined): RefObject<T | null> {
  const element = useRef<T | null>(null);
  useEffect(() => {
    if (!element.current) return undefined;
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && onSeen());
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [of]);
  return element;
}

/** A dialog that is shown over the page as long as its component is there; whoever opened it has the focus again afterwards. */
export function useModalDialog(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const box = dialog.current;
    const opener = document.activeElement;
    box?.showModal();
    return () => {
      box?.close();
      // Browsers give it back themselves, but not from a dialog that has left the page by now.
      if (opener instanceof HTMLElement && document.activeElement === document.body) opener.focus();
    };
  }, []);
  return dialog;
}
