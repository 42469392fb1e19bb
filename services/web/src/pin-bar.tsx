import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationView } from "@parley/client";
import { shownPins } from "@parley/client";
import { messageLine, type Viewer } from "./conversation-text";
import { Icon } from "./icons";
import { t } from "./text";

interface PinBarProps {
  readonly view: ConversationView;
  readonly viewer: Viewer;
  readonly jump: (seq: number) => void;
}

/** The pinned messages, one at a time, the latest first: a press leads to it, and the next one takes its place. */
export function PinBar({ view, viewer, jump }: PinBarProps): JSX.Element | null {
  const pins = shownPins(view.conversation, view.messages, viewer.selfId);
  const [at, setAt] = useState(0);
  const pin = pins[at % pins.length];
  if (!pin) return null;
  const show = (): void => {
    jump(pin.seq);
    setAt((at + 1) % pins.length);
  };
  return (
    <section class="pin-bar" aria-label={t("pins")}>
      <button type="button" title={t("quote.show")} onClick={show}>
        <Icon name="pin" />
        <span class="pin-text" dir="auto">
          {pin.message ? messageLine(pin.message, viewer) : t("quote.earlier")}
        </span>
        {pins.length > 1 && <span class="quiet">{t("pins.place", { place: (at % pins.length) + 1, all: pins.length })}</span>}
      </button>
    </section>
  );
}
