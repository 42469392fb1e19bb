import type { ReactElement } from "react";
import { createRoot, type Root } from "react-dom/client";
import { vi } from "vitest";

const roots: { readonly root: Root; readonly box: HTMLElement }[] = [];

/** Draws something into a page; it is taken away after the test. */
export function draw(element: ReactElement): { readonly box: HTMLElement; readonly again: (element: ReactElement) => void } {
  const box = document.createElement("main");
  document.body.append(box);
  const root = createRoot(box);
  roots.push({ root, box });
  root.render(element);
  return { box, again: (next) => root.render(next) };
}

export async function unmountAll(): Promise<void> {
  for (const { root, box } of roots.splice(0)) {
    root.unmount();
    box.remove();
  }
  // What is drawn last runs its cleanup in a task of its own.
  await new Promise((resolve) => setTimeout(resolve));
}

/** Waits for a condition, and says what never came about. Returns what it gave. */
export async function until<T>(what: string, condition: () => T): Promise<Exclude<NonNullable<T>, false>> {
  return vi.waitFor(
    () => {
      const value = condition();
      if (!value) throw new Error(`never happened: ${what}\n${document.body.textContent?.slice(0, 2000)}`);
      return value as Exclude<NonNullable<T>, false>;
    },
    { timeout: 30_000, interval: 5 },
  );
}

/** Types into a field as a user does. */
export function type(field: HTMLTextAreaElement, text: string): void {
  // React remembers what it set: the element's own setter passes that by.
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set?.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

export function press(element: Element, key: string, init: KeyboardEventInit = {}): void {
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init }));
}

/** Where a field takes what is typed, by its accessible name. */
export function button(box: HTMLElement, name: string): HTMLButtonElement | undefined {
  return [...box.querySelectorAll("button")].find((found) => (found.getAttribute("aria-label") ?? found.textContent) === name);
}
