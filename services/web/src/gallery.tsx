import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Attachment, Conversation, Message, ParleyClient, SharedKind } from "@parley/client";
import { type AttachmentProps, saveFile, usePicture } from "./attachment-loading";
import { FileRow } from "./attachments";
import type { Viewer } from "./conversation-text";
import { isPicture } from "./file-picker";
import { duration, listTime } from "./format";
import { useEscape, useOnSeen } from "./hooks";
import { Icon } from "./icons";
import { language } from "./language";
import { PictureViewer } from "./picture-viewer";
import { itemsOf, type SharedItem, useShared } from "./shared-items";
import { lineOf, made, type PlainKey, type Problem, sizeLine, t } from "./text";

const TABS = ["media", "file", "voice", "link"] as const satisfies readonly SharedKind[];
const NAMES: Record<SharedKind, PlainKey> = { media: "gallery.media", file: "gallery.files", voice: "gallery.voice", link: "gallery.links" };
const NONE: Record<SharedKind, PlainKey> = { media: "gallery.media.none", file: "gallery.files.none", voice: "gallery.voice.none", link: "gallery.links.none" };

interface GalleryProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly onShow: (seq: number) => void;
  readonly onClose: () => void;
}

/** All pictures, videos, files, voice messages and links of a conversation. */
export function GalleryPanel({ onClose, ...props }: GalleryProps): JSX.Element {
  const [kind, setKind] = useState<SharedKind>("media");
  const id = useId();
  useEscape(onClose);
  return (
    <aside class="panel" aria-label={t("gallery")}>
      <header class="panel-header">
        <h2 class="grow">{t("gallery")}</h2>
        <button type="button" class="icon-button" aria-label={t("gallery.close")} title={t("close.esc")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <Tabs {...{ id, kind, setKind }} />
      <div class="list gallery" role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${kind}`}>
        <Shared key={kind} kind={kind} {...props} />
      </div>
    </aside>
  );
}

interface TabsProps {
  readonly id: string;
  readonly kind: SharedKind;
  readonly setKind: (kind: SharedKind) => void;
}

/** One stop of the Tab key; the arrows go between them, and each is shown at once. */
function Tabs({ id, kind, setKind }: TabsProps): JSX.Element {
  const list = useRef<HTMLDivElement>(null);
  const go = (to: SharedKind = kind): void => {
    setKind(to);
    list.current?.querySelector<HTMLElement>(`[data-kind=${to}]`)?.focus();
  };
  useEffect(go, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    const onwards = language.isRightToLeft ? -1 : 1;
    const step = { ArrowRight: onwards, ArrowLeft: -onwards }[event.key];
    if (step !== undefined) go(TABS.at((TABS.indexOf(kind) + step) % TABS.length));
    else if (event.key === "Home") go(TABS[0]);
    else if (event.key === "End") go(TABS.at(-1));
    else return;
    event.preventDefault();
  };
  return (
    <div class="tabs" role="tablist" aria-label={t("gallery")} ref={list} onKeyDown={onKeyDown}>
      {TABS.map((each) => (
        <button
          key={each}
          type="button"
          role="tab"
          id={`${id}-${each}`}
          data-kind={each}
          aria-selected={each === kind}
          aria-controls={`${id}-panel`}
          tabIndex={each === kind ? 0 : -1}
          onClick={() => setKind(each)}
        >
          {t(NAMES[each])}
        </button>
      ))}
    </div>
  );
}

type SharedProps = Omit<GalleryProps, "onClose"> & { readonly kind: SharedKind };

function Shared(props: SharedProps): JSX.Element {
  const { client, conversation, nowMs, kind } = props;
  const { messages, more, ...pages } = useShared(client, conversation.id, kind);
  const [firstSeq] = useState(conversation.lastSeq);
  const view = client.messaging.store.get(conversation.id);
  const items = view ? itemsOf(kind, messages, view, firstSeq, nowMs) : [];
  return <SharedList {...props} {...pages} items={items} onMore={() => void more()} />;
}

interface SharedListProps extends SharedProps {
  readonly items: readonly SharedItem[];
  readonly nextPageToken: string;
  readonly state: "running" | "done";
  readonly problem: Problem;
  readonly onMore: () => void;
}

/** What there is so far, or why there is nothing. */
export function SharedList({ client, conversation, viewer, nowMs, onShow, kind, items, nextPageToken, state, problem, onMore }: SharedListProps): JSX.Element {
  const [viewed, setViewed] = useState<ViewedPicture | undefined>(undefined);
  const running = state === "running";
  const none = running || nextPageToken ? t("loading") : t(NONE[kind]);
  const line = lineOf(problem) || (items.length === 0 ? none : "");
  const count = running || problem ? "" : t(nextPageToken ? "search.count.more" : "search.count", { count: items.length });
  const common = { client, viewer, nowMs, onShow };
  return (
    <div aria-busy={running}>
      <p class="visually-hidden" role="status">
        {count}
      </p>
      <ul class={kind === "media" ? "gallery-grid" : "gallery-rows"}>
        {items.map((item) =>
          kind === "media" && "attachment" in item ? (
            <Tile key={item.key} {...common} message={item.message} attachment={item.attachment} onView={setViewed} />
          ) : (
            <Row key={item.key} {...common} item={item} />
          ),
        )}
      </ul>
      {line && <p class="list-hint">{line}</p>}
      {(nextPageToken || problem) && <More pageToken={nextPageToken} auto={!problem} onMore={onMore} />}
      {viewed && <PictureViewer client={client} conversationId={conversation.id} {...viewed} onClose={() => setViewed(undefined)} />}
    </div>
  );
}

interface ViewedPicture {
  readonly attachment: Attachment;
  readonly seq: number;
}

interface ItemProps {
  readonly client: ParleyClient;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly onShow: (seq: number) => void;
}

type TileProps = ItemProps & { readonly message: Message; readonly attachment: Attachment; readonly onView: (picture: ViewedPicture) => void };

/** A picture, which is fetched when it comes into view; what browsers do not draw is a file to download. */
function Tile({ client, message, attachment, onShow, onView }: TileProps): JSX.Element {
  const [seen, setSeen] = useState(false);
  const tile = useOnSeen<HTMLLIElement>(() => setSeen(true));
  const { conversationId, seq } = message;
  const { fileName, contentType, sizeBytes } = attachment;
  return (
    <li class="tile" ref={tile}>
      {isPicture(contentType) ? (
        <button type="button" class="tile-open" aria-label={t("picture.open", { name: fileName })} onClick={() => onView({ attachment, seq })}>
          {seen && <Thumbnail {...{ client, conversationId, seq, attachment }} />}
        </button>
      ) : (
        <button
          type="button"
          class="tile-open"
          aria-label={t("file.download", { name: fileName, size: made(sizeLine(sizeBytes)) })}
          onClick={() => void saveFile(client, conversationId, seq, attachment)}
        >
          <Icon name={contentType.startsWith("video/") ? "video" : "file"} />
          <span class="file-name" dir="auto">
            {fileName}
          </span>
        </button>
      )}
      <ShowButton name={fileName} onClick={() => onShow(seq)} />
    </li>
  );
}

function Thumbnail(props: AttachmentProps): JSX.Element | null {
  const { address, problem, onError } = usePicture(props);
  if (problem) return <Icon name="alert" />;
  return address ? <img src={address} alt="" decoding="async" onError={onError} /> : null;
}

function Row({ client, viewer, nowMs, onShow, item }: ItemProps & { readonly item: SharedItem }): JSX.Element {
  const { message } = item;
  const { conversationId, seq, content } = message;
  return (
    <li class="gallery-row">
      <div class="grow">
        {"link" in item ? (
          <a class="gallery-link" href={item.link.href} target="_blank" rel="noopener noreferrer">
            <span class="file-name">
              <bdi>{item.link.host}</bdi>
            </span>
            <span class="file-size">
              <bdi dir="ltr">{item.link.href}</bdi>
            </span>
          </a>
        ) : (
          <FileRow {...{ client, conversationId, seq }} attachment={item.attachment} />
        )}
        <p class="gallery-by quiet">
          <bdi>{message.senderId === viewer.selfId ? t("you") : viewer.nameOf(message.senderId)}</bdi>
          {content.kind === "voice" && <span>{t("message.voice", { length: made(duration(content.lengthS)) })}</span>}
          <time>{listTime(message.sendTimeMs, nowMs)}</time>
        </p>
      </div>
      <ShowButton name={"link" in item ? item.link.host : item.attachment.fileName} onClick={() => onShow(seq)} />
    </li>
  );
}

function ShowButton({ name, onClick }: { readonly name: string; readonly onClick: () => void }): JSX.Element {
  return (
    <button type="button" class="icon-button gallery-show" aria-label={t("gallery.show.of", { name })} title={t("gallery.show")} onClick={onClick}>
      <Icon name="bubble" />
    </button>
  );
}

/** Asks for more as soon as it comes into view; after a failure, when it is pressed. */
function More({ pageToken, auto, onMore }: { readonly pageToken: string; readonly auto: boolean; readonly onMore: () => void }): JSX.Element {
  const button = useOnSeen<HTMLButtonElement>(() => auto && onMore(), pageToken);
  return (
    <button type="button" class="more-button" ref={button} onClick={onMore}>
      {t("search.more")}
    </button>
  );
}
