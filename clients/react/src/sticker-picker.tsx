import { type Failure, type NewSticker, type StickerProvider, sendableStickers, stickerSize } from "@parley/client";
import { type KeyboardEvent, type ReactElement, useEffect, useRef, useState } from "react";
import { useLimits } from "./hooks.js";
import type { Labels } from "./labels.js";
import { useParley } from "./provider.js";

/** Whoever types goes on within this time. Raising it finds later; lowering it asks the provider about half of a word. */
const PAUSE_MS = 300;
/** Raising it loads more pictures at once. */
const MOST_SHOWN = 60;
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
  const { found, state, again } = useSearch(provider, words.trim());
  const { busy, failure, send } = useSending(conversationId, replyToSeq, () => onEnd(true));
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    onEnd(false);
  };
  const line = { running: labels.loading, failed: labels.stickersFailed, done: found.length > 0 ? "" : labels.noStickers }[state];
  return (
    <section className="parley-stickers" aria-label={labels.stickers} onKeyDown={onKeyDown}>
      <input ref={field} type="search" className="parley-sticker-search" dir="auto" value={words} aria-label={labels.searchStickers} placeholder={labels.searchStickers} onChange={(event) => setWords(event.currentTarget.value)} />
      <p className="parley-composer-note" role="status">
        {line}
      </p>
      {state === "failed" && (
        <button type="button" className="parley-button" onClick={again}>
          {labels.tryAgain}
        </button>
      )}
      <Grid stickers={found} busy={busy} label={labels.stickers} onChoose={send} />
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

/** What the provider finds; while it looks, what it found before. */
function useSearch(provider: StickerProvider, words: string) {
  const client = useParley();
  const limits = useLimits();
  const [found, setFound] = useState<readonly NewSticker[]>([]);
  const [state, setState] = useState<"running" | "done" | "failed">("running");
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    setState("running");
    const request = new AbortController();
    const ask = async (): Promise<void> => {
      const answer = await provider.search(words, request.signal).catch(() => undefined);
      if (request.signal.aborted) return;
      setFound(sendableStickers(answer ?? [], client.limits).slice(0, MOST_SHOWN));
      setState(answer ? "done" : "failed");
    };
    const timer = setTimeout(() => void ask(), words ? PAUSE_MS : 0);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }, [client, limits, provider, words, attempt]);
  return { found, state, again: () => setAttempt(attempt + 1) };
}

/** Sends under one id for the same, so that a second attempt after a lost answer sends nothing twice. */
function useSending(conversationId: string, replyToSeq: number, onSent: () => void) {
  const client = useParley();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const attempt = useRef({ of: "", id: "" });
  const running = useRef(false);
  const send = async (sticker: NewSticker): Promise<void> => {
    // A second click comes before the first is drawn.
    if (running.current) return;
    running.current = true;
    if (attempt.current.of !== sticker.url) attempt.current = { of: sticker.url, id: crypto.randomUUID() };
    setBusy(true);
    setFailure(undefined);
    try {
      await client.messaging.sendSticker(conversationId, { ...sticker, replyToSeq }, attempt.current.id);
      onSent();
    } catch (error) {
      setFailure(error as Failure);
    }
    setBusy(false);
    running.current = false;
  };
  return { busy, failure, send: (sticker: NewSticker) => void send(sticker) };
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
