import type { JSX } from "preact";
import type { Receipt } from "@parley/client";
import { Icon } from "./icons";

const NAMES: Record<Receipt, string> = { sent: "Sent", delivered: "Delivered", read: "Read" };

/** A message's receipt: one tick, two, or two in colour, and as a word for screen readers. */
export function Ticks({ receipt }: { receipt: Receipt }): JSX.Element {
  return (
    <span class={`ticks ${receipt}`} role="img" aria-label={NAMES[receipt]} title={NAMES[receipt]} data-testid="receipt">
      <Icon name={receipt === "sent" ? "tick" : "ticks"} />
    </span>
  );
}
