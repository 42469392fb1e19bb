import type { JSX } from "preact";
import type { Receipt } from "@parley/client";
import { Icon } from "./icons";

const NAMES: Record<Receipt, string> = { sent: "Sent", delivered: "Delivered", read: "Read" };

/** How far a message got: one tick, two, or two in colour, and the word for those who do not see them. */
export function Ticks({ receipt }: { receipt: Receipt }): JSX.Element {
  return (
    <span class={`ticks ${receipt}`} role="img" aria-label={NAMES[receipt]} title={NAMES[receipt]} data-testid="receipt">
      <Icon name={receipt === "sent" ? "tick" : "ticks"} />
    </span>
  );
}
