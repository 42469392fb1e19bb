import { type NewSticker, type StickerProvider, stickerSize } from "@parley/client";
import { type StickerPick, StickerPicking } from "@parley/client/stickers";
import { type KeyboardEvent, type ReactElement, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { Labels } from "./labels.js";
import { useParley } from "./provider.js";

/** Pixels of a picture's longer side. */
const SHOWN_PX = 80;

export interface StickerPickerProps {
  readonly conversationId: string;
  readonly provider: StickerProvider;
  /** 0 for none. */
  readonly replyToSeq: number;
  readonly labels: Labels;
  /** One was sent, or is not wanted any more. */
  readonly onEnd: (sent: boolean) => void;
}

/** Stickers that the provider finds; the one that is chosen is sent. Escape closes. */
export function StickerPicker({ conversationId, provider, replyToSeq, labels, onEnd }: StickerPickerProps): ReactElement {
  const [words, setWords] = useState("");
  const { picking, pick } = usePicking(provider, conversationId, replyToSeq);
  const { found, search, sending, failure } = pick;
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    onEnd(false);
  };
  const write = (typed: string): void => {
    setWords(typed);
    picking.find(typed);
  };
  const choose = async (sticker: NewSticker): Promise<void> => {
    if (await picking.send(sticker)) onEnd(true);
  };
  const line = { running: labels.loading, failed: labels.stickersFailed, done: found.length > 0 ? "" : labels.noStickers }[search];
  return (
    <section className="parley-stickers" aria-label={labels.stickers} onKeyDown={onKeyDown}>
      <input ref={field} type="search" className="parley-sticker-search" dir="auto" value={words} aria-label={labels.searchStickers} placeholder={labels.searchStickers} onChange={(event) => write(event.currentTarget.value)} />
      <p className="parley-composer-note" role="status">
        {line}
      </p>
      {search === "failed" && (
        <button type="button" className="parley-button" onClick={() => picking.again()}>
          {labels.tryAgain}
        </button>
      )}
      <Grid stickers={found} busy={sending} label={labels.stickers} onChoose={(sticker) => void choose(sticker)} />
      {failure && (
        <p className="parley-problem" role="alert">
          {labels.told(failure)}
        </p>
      )}
      {provider.credit && (
        <p className="parley-composer-note" dir="auto">
          {provider.credit}
        </p>
      )}
    </section>
  );
}

function usePicking(provider: StickerProvider, conversationId: string, replyToSeq: number): { readonly picking: StickerPicking; readonly pick: StickerPick } {
  const client = useParley();
  const picking = useMemo(() => new StickerPicking(client, provider, conversationId, replyToSeq), [client, provider, conversationId, replyToSeq]);
  useEffect(() => picking.open(), [picking]);
  const subscribe = useCallback((listener: () => void) => picking.subscribe(listener), [picking]);
  const current = (): StickerPick => picking.current;
  return { picking, pick: useSyncExternalStore(subscribe, current, current) };
}

interface GridProps {
  readonly stickers: readonly NewSticker[];
  readonly busy: boolean;
  readonly label: string;
  readonly onChoose: (sticker: NewSticker) => void;
}

/** One stop of Tab; the arrow keys lead through it, as it is seen. */
function Grid({ stickers, busy, label, onChoose }: GridProps): ReactElement | null {
  const list = useRef<HTMLUListElement>(null);
  const [stop, setStop] = useState(0);
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = neighbour([...(list.current?.querySelectorAll("button") ?? [])], event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
  if (stickers.length === 0) return null;
  return (
    <ul ref={list} className="parley-sticker-grid" aria-label={label} onKeyDown={onKeyDown}>
      {stickers.map((sticker, at) => (
        <li key={sticker.url}>
          <button
            type="button"
            className="parley-sticker-choice"
            aria-label={sticker.description}
            title={sticker.description}
            aria-disabled={busy}
            tabIndex={at === Math.min(stop, stickers.length - 1) ? 0 : -1}
            onFocus={() => setStop(at)}
            onClick={() => onChoose(sticker)}
          >
            <Picture sticker={sticker} />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** In words where it does not come. */
function Picture({ sticker }: { sticker: NewSticker }): ReactElement {
  const [broken, setBroken] = useState(false);
  if (broken) return <span dir="auto">{sticker.description}</span>;
  return <img src={sticker.url} alt="" {...stickerSize(sticker, SHOWN_PX)} loading="lazy" decoding="async" referrerPolicy="no-referrer" onError={() => setBroken(true)} />;
}

/** Where an arrow key leads: up and down by a row, to the sides as they are read. */
function neighbour(buttons: readonly HTMLElement[], key: string): HTMLElement | undefined {
  const [first] = buttons;
  if (!first) return undefined;
  const at = buttons.indexOf(document.activeElement as HTMLElement);
  const columns = buttons.filter(({ offsetTop }) => offsetTop === first.offsetTop).length;
  const onwards = getComputedStyle(first).direction === "rtl" ? -1 : 1;
  const targets: Partial<Record<string, number>> = { ArrowRight: at + onwards, ArrowLeft: at - onwards, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0, End: buttons.length - 1 };
  const target = targets[key];
  return target === undefined ? undefined : buttons[target];
}
