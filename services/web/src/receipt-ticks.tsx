import type { JSX } from "preact";
import type { Receipt } from "@parley/client";
import { Icon } from "./icons";
import { type PlainKey, t } from "./text";

const NAMES: Record<Receipt, PlainKey> = { sent: "receipt.sent", delivered: "receipt.delivered", read: "receipt.read" };

/** A message's receipt: one tick, two, or two in colour, and as a word for screen readers. */
export function Ticks({ receipt }: { receipt: Receipt }): JSX.Element {
  return (
    <span class={`ticks ${receipt}`} role="img" aria-label={t(NAMES[receipt])} title={t(NAMES[receipt])} data-testid="receipt">
      <Icon name={receipt === "sent" ? "tick" : "ticks"} />
    </span>
  );
}
