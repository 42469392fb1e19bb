import { useEffect, useReducer, useState } from "preact/hooks";
import type { ParleyClient } from "../parley";

/** Draws the component again after each change of the client. */
export function useClient(client: ParleyClient): void {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => client.subscribe(() => redraw(undefined)), [client]);
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

/** Runs `onEscape` on the Escape key, unless something inside has used it. */
export function useEscape(onEscape: (() => void) | undefined): void {
  useEffect(() => {
    if (!onEscape) return undefined;
    const listen = (event: KeyboardEvent): void => {
      if (event.key === "Escape" && !event.defaultPrevented) onEscape();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [onEscape]);
}
