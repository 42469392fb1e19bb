import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { NewSticker, ParleyClient, StickerProvider } from "@parley/client";
import { stickerSize } from "@parley/client";
import { type StickerPick, StickerPicking } from "@parley/client/stickers";
import { useChanges } from "./hooks";
import { moved } from "./menu";
import { Modal } from "./modal";
import { pictureOf } from "./stickers";
import { fieldDirection, lineOf, t } from "./text";
import "./style/sticker-window.css";

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
  const picking = usePicking(client, provider, conversationId, replyToSeq);
  const { found, search, sending, failure } = picking.current;
  const write = (typed: string): void => {
    setWords(typed);
    picking.find(typed);
  };
  const choose = async (sticker: NewSticker): Promise<void> => {
    if (!(await picking.send(sticker))) return;
    onClose();
    onSent();
  };
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
        onInput={(event) => write(event.currentTarget.value)}
      />
      <p class="quiet small-print" role="status">
        {lineOfSearch(search, found.length)}
      </p>
      {search === "failed" && (
        <button type="button" class="plain" onClick={() => picking.again()}>
          {t("try.again")}
        </button>
      )}
      <Grid stickers={found} busy={sending} onChoose={(sticker) => void choose(sticker)} />
      <p class="problem" role="alert">
        {lineOf(failure)}
      </p>
      {provider.credit && (
        <p class="quiet small-print" dir="auto">
          {provider.credit}
        </p>
      )}
    </Modal>
  );
}

function lineOfSearch(search: StickerPick["search"], count: number): string {
  if (search === "running") return t("loading");
  if (search === "failed") return t("stickers.failed");
  return count > 0 ? t("search.count", { count }) : t("search.none");
}

function usePicking(client: ParleyClient, provider: StickerProvider, conversationId: string, replyToSeq: number): StickerPicking {
  const picking = useMemo(() => new StickerPicking(client, provider, conversationId, replyToSeq), [client, provider, conversationId, replyToSeq]);
  useEffect(() => picking.open(), [picking]);
  useChanges(picking);
  return picking;
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
