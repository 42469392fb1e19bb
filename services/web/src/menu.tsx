import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { language } from "./language";

interface MenuProps {
  readonly anchor: HTMLElement;
  readonly label: string;
  readonly onClose: () => void;
  /** Elements with a role that begins with `menuitem`; the arrow keys go through all of them. */
  readonly children: ComponentChildren;
}

/** Between the anchor and the menu, and to the window's edge, in pixels. */
const GAP_PX = 6;

/** A menu beside what opened it. Closes on Escape, Tab and a click elsewhere, and gives the focus back. */
export function Menu({ anchor, label, onClose, children }: MenuProps): JSX.Element {
  const menu = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    place(menu.current, anchor);
    items(menu.current)[0]?.focus();
    const follow = (): void => place(menu.current, anchor);
    const leave = (event: Event): void => {
      if (!menu.current?.contains(event.target as Node) && !anchor.contains(event.target as Node)) onClose();
    };
    addEventListener("scroll", follow, true);
    addEventListener("resize", follow);
    addEventListener("pointerdown", leave);
    return () => {
      removeEventListener("scroll", follow, true);
      removeEventListener("resize", follow);
      removeEventListener("pointerdown", leave);
    };
  }, [anchor]);
  useEffect(
    () => () => {
      // Whoever chose something that takes the focus keeps it there.
      if (document.activeElement === document.body || menu.current?.contains(document.activeElement)) anchor.focus();
    },
    [anchor],
  );
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      anchor.focus();
      return onClose();
    }
    const next = moved(items(menu.current), event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
  return (
    <div class="menu" ref={menu} role="menu" aria-label={label} onKeyDown={onKeyDown}>
      {children}
    </div>
  );
}

/** The element that an arrow key leads to from the focused one; round the ends. The arrows to the sides follow the direction of reading. */
export function moved(elements: readonly HTMLElement[], key: string): HTMLElement | undefined {
  const at = elements.indexOf(document.activeElement as HTMLElement);
  const onwards = language.isRightToLeft ? -1 : 1;
  const steps: Record<string, number> = { ArrowDown: at + 1, ArrowRight: at + onwards, ArrowUp: at - 1, ArrowLeft: at - onwards, Home: 0, End: -1 };
  const target = steps[key];
  if (target === undefined || elements.length === 0) return undefined;
  return elements.at(target % elements.length);
}

function items(menu: HTMLElement | null): HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])];
}

/** Below the anchor, or above where there is more room; never over the window's edge. */
function place(menu: HTMLElement | null, anchor: HTMLElement): void {
  if (!menu) return;
  const from = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = from.bottom + GAP_PX;
  const top = below + height > innerHeight - GAP_PX ? from.top - GAP_PX - height : below;
  const left = from.left + from.width / 2 - width / 2;
  menu.style.top = `${clamp(top, innerHeight - height)}px`;
  menu.style.left = `${clamp(left, innerWidth - width)}px`;
}

function clamp(value: number, most: number): number {
  return Math.max(GAP_PX, Math.min(value, most - GAP_PX));
}
