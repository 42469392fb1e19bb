import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure, NewSticker, ParleyClient, StickerProvider } from "@parley/client";
import { sendableStickers, stickerSize } from "@parley/client";
import { moved } from "./menu";
import { Modal } from "./modal";
import { pictureOf } from "./stickers";
import { fieldDirection, lineOf, type Problem, t } from "./text";
import "./style/sticker-window.css";

/** Whoever types goes on within this time. Raising it finds later; lowering it asks the provider about half of a word. */
const PAUSE_MS = 300;
/** Raising it loads more pictures at once. */
const MOST_SHOWN = 60;
/** Pixels of a picture's longer side. */
const SHOWN_PX = 88;

export interface StickerWindowProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  /** The message that it answers; 0 for none. */
  readonly replyToSeq: number;
  readonly provider: StickerProvider;
  readonly onSent: () => void;
  readonly onClose: () => void;
}

/** Stickers that a provider finds; the one that is chosen is sent. */
export function StickerWindow({ client, conversationId, replyToSeq, provider, onSent, onClose }: StickerWindowProps): JSX.Element {
  const [words, setWords] = useState("");
  const { found, state, again } = useSearch(client, provider, words);
  const { busy, problem, send } = useSending(client, conversationId, replyToSeq, () => {
    onClose();
    onSent();
  });
  return (
    <Modal title={t("stickers")} onClose={onClose}>
      <input
        class="sticker-search"
        type="search"
        value={words}
        aria-label={t("stickers.search")}
        placeholder={t("stickers.search")}
        {...fieldDirection(words)}
        autocomplete="off"
        // On a touch screen this would push the keyboard over the pictures.
        autofocus={matchMedia("(pointer: fine)").matches}
        onInput={(event) => setWords(event.currentTarget.value)}
      />
      <p class="quiet small-print" role="status">
        {stateLine(state, found.length)}
      </p>
      {state === "failed" && (
        <button type="button" class="plain" onClick={again}>
          {t("try.again")}
        </button>
      )}
      <Grid stickers={found} busy={busy} onChoose={send} />
      <p class="problem" role="alert">
        {lineOf(problem)}
      </p>
      {provider.credit && (
        <p class="quiet small-print" dir="auto">
          {provider.credit}
        </p>
      )}
    </Modal>
  );
}

type SearchState = "running" | "done" | "failed";

function stateLine(state: SearchState, count: number): string {
  if (state === "running") return t("loading");
  if (state === "failed") return t("stickers.failed");
  return count > 0 ? t("search.count", { count }) : t("search.none");
}

/** What the provider finds; while it looks, what it found before. */
function useSearch(client: ParleyClient, provider: StickerProvider, words: string) {
  const [found, setFound] = useState<readonly NewSticker[]>([]);
  const [state, setState] = useState<SearchState>("running");
  const [attempt, setAttempt] = useState(0);
  const wanted = words.trim();
  useEffect(() => {
    setState("running");
    const request = new AbortController();
    const ask = async (): Promise<void> => {
      const answer = await provider.search(wanted, request.signal).catch(() => undefined);
      if (request.signal.aborted) return;
      setFound(sendableStickers(answer ?? [], client.limits).slice(0, MOST_SHOWN));
      setState(answer ? "done" : "failed");
    };
    const timer = setTimeout(() => void ask(), wanted ? PAUSE_MS : 0);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }, [provider, wanted, attempt]);
  return { found, state, again: () => setAttempt(attempt + 1) };
}

/** Sends under one id for the same, so that a second attempt after a lost answer sends nothing twice. */
function useSending(client: ParleyClient, conversationId: string, replyToSeq: number, onSent: () => void) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>(undefined);
  const attempt = useRef({ of: "", id: "" });
  const running = useRef(false);
  const send = async (sticker: NewSticker): Promise<void> => {
    // A second click comes before the first is drawn.
    if (running.current) return;
    running.current = true;
    if (attempt.current.of !== sticker.url) attempt.current = { of: sticker.url, id: crypto.randomUUID() };
    setBusy(true);
    setProblem(undefined);
    try {
      await client.messaging.sendSticker(conversationId, { ...sticker, replyToSeq }, attempt.current.id);
      onSent();
    } catch (error) {
      setProblem(error as Failure);
      setBusy(false);
      running.current = false;
    }
  };
  return { busy, problem, send: (sticker: NewSticker) => void send(sticker) };
}

interface GridProps {
  readonly stickers: readonly NewSticker[];
  readonly busy: boolean;
  readonly onChoose: (sticker: NewSticker) => void;
}

/** One stop of Tab; the arrow keys lead through it, as it is seen. */
function Grid({ stickers, busy, onChoose }: GridProps): JSX.Element | null {
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
    <ul class="sticker-grid" ref={list} aria-label={t("stickers")} onKeyDown={onKeyDown}>
      {stickers.map((sticker, at) => (
        <li key={sticker.url}>
          <button
            type="button"
            class="sticker-choice"
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
function Picture({ sticker }: { sticker: NewSticker }): JSX.Element {
  const [broken, setBroken] = useState(false);
  if (broken) return <span dir="auto">{sticker.description}</span>;
  return <img src={pictureOf(sticker.url)} alt="" {...stickerSize(sticker, SHOWN_PX)} loading="lazy" decoding="async" referrerpolicy="no-referrer" onError={() => setBroken(true)} />;
}

/** Where an arrow key leads: up and down by a row. */
function neighbour(buttons: readonly HTMLElement[], key: string): HTMLElement | undefined {
  if (key !== "ArrowUp" && key !== "ArrowDown") return moved(buttons, key);
  const columns = buttons.filter(({ offsetTop }) => offsetTop === buttons[0]?.offsetTop).length;
  const at = buttons.indexOf(document.activeElement as HTMLElement);
  return buttons[key === "ArrowDown" ? at + columns : at - columns];
}
