import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure, Message, ParleyClient } from "@parley/client";
import { excerpt, highlight } from "@parley/client";
import { Avatar } from "./avatar";
import { listTime } from "./format";
import { useFocusOnce } from "./hooks";
import { Icon } from "./icons";
import { maxLength } from "./max-length";
import { titleOf, type Viewer } from "./conversation-text";
import { fieldDirection, lineOf, type Problem, t } from "./text";

/** So long the keys rest before the service is asked. */
const REST_MS = 250;

interface Found {
  readonly messages: readonly Message[];
  readonly nextPageToken: string;
  readonly state: "idle" | "running" | "done";
  readonly problem: Problem;
}

const NOTHING: Found = { messages: [], nextPageToken: "", state: "idle", problem: undefined };

/** What the service finds for a query, a while after the last key; of two answers the later query's counts. */
export function useSearch(client: ParleyClient, query: string, conversationId = "") {
  const [found, setFound] = useState<Found>(NOTHING);
  const words = query.trim();
  useEffect(() => {
    if (!words) return setFound(NOTHING);
    let stale = false;
    setFound((before) => ({ ...before, state: "running" }));
    const timer = setTimeout(() => {
      client.search(words, conversationId).then(
        (page) => stale || setFound({ ...page, state: "done", problem: undefined }),
        (failure: Failure) => stale || setFound({ ...NOTHING, state: "done", problem: failure }),
      );
    }, REST_MS);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [words, conversationId]);
  const more = async (): Promise<void> => {
    try {
      const page = await client.search(words, conversationId, found.nextPageToken);
      setFound({ ...page, messages: [...found.messages, ...page.messages], state: "done", problem: undefined });
    } catch (error) {
      setFound({ ...found, problem: error as Failure });
    }
  };
  return { ...found, more };
}

interface SearchFieldProps {
  readonly maxChars: number;
  readonly label: string;
  readonly value: string;
  readonly focused?: boolean;
  readonly onChange: (value: string) => void;
}

export function SearchField({ label, value, maxChars, focused = false, onChange }: SearchFieldProps): JSX.Element {
  const field = useFocusOnce<HTMLInputElement>(focused);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Escape" || !value) return;
    event.preventDefault();
    onChange("");
  };
  return (
    <div class="search-field" role="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={value}
        {...maxLength(maxChars)}
        autocomplete="off"
        spellcheck={false}
        {...fieldDirection(value)}
        ref={field}
        onInput={(event) => onChange(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
    </div>
  );
}

interface SearchResultsProps {
  readonly client: ParleyClient;
  readonly query: string;
  /** Empty for all conversations. */
  readonly conversationId?: string;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly onChoose: (message: Message) => void;
}

/** Messages that were found, each with its words marked. */
export function SearchResults({ client, query, conversationId = "", viewer, nowMs, onChoose }: SearchResultsProps): JSX.Element {
  const { messages, nextPageToken, state, problem, more } = useSearch(client, query, conversationId);
  const line = lineOf(problem) || (state === "done" && messages.length === 0 ? t("search.none") : "");
  const count = state === "done" && !problem ? t(nextPageToken ? "search.count.more" : "search.count", { count: messages.length }) : "";
  return (
    <div class={`results ${state}`} aria-busy={state === "running"}>
      <p class="visually-hidden" role="status">
        {count}
      </p>
      {line && <p class="list-hint">{line}</p>}
      <ul>
        {messages.map((message) => (
          <Result key={message.id} {...{ client, message, query, viewer, nowMs, onChoose }} brief={conversationId !== ""} />
        ))}
      </ul>
      {nextPageToken && (
        <button type="button" class="plain small" onClick={() => void more()}>
          {t("search.more")}
        </button>
      )}
    </div>
  );
}

/** What the service's search looks through; undefined for a kind without words. */
function wordsOf({ content }: Message): string | undefined {
  if (content.kind === "poll") return [content.question, ...content.options.map(({ text }) => text)].join(" · ");
  if (content.kind === "sticker") return content.description;
  return content.kind === "text" ? content.text : undefined;
}

interface ResultProps extends Pick<SearchResultsProps, "client" | "query" | "viewer" | "nowMs" | "onChoose"> {
  readonly message: Message;
  /** Within one conversation: the author is enough. */
  readonly brief: boolean;
}

function Result({ client, message, query, viewer, nowMs, onChoose, brief }: ResultProps): JSX.Element | null {
  const view = client.messaging.store.get(message.conversationId);
  const words = wordsOf(message);
  if (!view || words === undefined) return null;
  const author = message.senderId === viewer.selfId ? t("you") : viewer.nameOf(message.senderId);
  const face = brief ? { id: message.senderId, name: viewer.nameOf(message.senderId), picture: undefined } : titleOf(view.conversation, viewer);
  return (
    <li>
      <button type="button" class="item" onClick={() => onChoose(message)}>
        <Avatar userId={face.id} name={face.name} picture={face.picture} />
        <span class="item-body">
          <span class="item-top">
            <span class="item-name">
              <bdi>{brief ? author : face.name}</bdi>
            </span>
            <time class="item-time">{listTime(message.sendTimeMs, nowMs)}</time>
          </span>
          <span class="result-text" dir="auto">
            {!brief && author !== face.name && <span class="quiet">{t("search.by", { name: author })}</span>}
            {excerpt(highlight(words, query)).map((part, i) => (part.found ? <mark key={i}>{part.text}</mark> : part.text))}
          </span>
        </span>
      </button>
    </li>
  );
}
