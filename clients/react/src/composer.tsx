import type { ConversationView, Message, Person, StickerProvider } from "@parley/client";
import { findEntities, isBlank } from "@parley/client";
import { type FormEvent, type KeyboardEvent, type ReactElement, useEffect, useId, useRef, useState } from "react";
import { classes } from "./class-names.js";
import { useConversation, useFace } from "./conversation-hooks.js";
import { number } from "./format.js";
import { useDraft, useLimits, useNames } from "./hooks.js";
import type { Labels } from "./labels.js";
import { messageLine } from "./message-line.js";
import { useLabels, useLocale, useParley } from "./provider.js";
import { useSelected } from "./selected.js";
import type { StickerPickerProps } from "./sticker-picker.js";

/** From so few characters on, it is said how many are left. */
const FEW_LEFT = 100;

export interface ComposerProps {
  readonly conversationId: string;
  /** The message that the next text answers, of this conversation. */
  readonly replyTo?: Message | undefined;
  /** The answer was sent, or is not wanted any more: set `replyTo` back. */
  readonly onReplyEnd?: () => void;
  /** Where stickers are found; without it none can be sent from here. Keep the object's identity: a new one is asked anew. */
  readonly stickers?: StickerProvider | undefined;
  readonly labels?: Partial<Labels>;
  readonly className?: string;
}

/** Where one writes. Enter sends; Shift and Enter starts a new line; Escape ends a reply. What is not sent stays as a draft. */
export function Composer({ conversationId, labels: own, className, ...rest }: ComposerProps): ReactElement | null {
  const labels = useLabels(own);
  const view = useConversation(conversationId);
  const { name } = useFace(conversationId);
  const refused = useSelected(({ messaging }) => messaging.isWriteRefused(conversationId), Object.is, false, conversationId);
  if (!view) return null;
  return (
    <div className={classes("parley", "parley-composer", className)}>
      <Unsent view={view} labels={labels} />
      {refused ? <p className="parley-quiet">{labels.cannotWrite(name)}</p> : <Field key={conversationId} {...{ view, name, labels }} {...rest} />}
    </div>
  );
}

interface FieldProps extends Pick<ComposerProps, "replyTo" | "onReplyEnd" | "stickers"> {
  readonly view: ConversationView;
  readonly name: string;
  readonly labels: Labels;
}

function Field({ view, name, labels, replyTo, onReplyEnd, stickers }: FieldProps): ReactElement {
  const client = useParley();
  const { id } = view.conversation;
  const locale = useLocale();
  const { text, setText } = useDraft(id);
  const limits = useLimits();
  const limit = limits?.textChars ?? Number.POSITIVE_INFINITY;
  const people = usePeople(view);
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useStickerPicker();
  const offered = limits?.stickerHosts.length ? stickers : undefined;
  const noteId = useId();
  // Code points, as the service counts them: never more than units, so that a short text is not counted.
  const left = text.length > limit - FEW_LEFT ? limit - [...text.trim()].length : Number.POSITIVE_INFINITY;
  const sendable = !isBlank(text) && left >= 0;
  useEffect(() => () => client.presence.stopTyping(id), [client, id]);
  useEffect(() => {
    if (replyTo) field.current?.focus();
  }, [replyTo]);
  const send = (): void => {
    if (!sendable) return;
    const written = text.trim();
    client.messaging.send(id, { text: written, entities: findEntities(written, people, client.limits.textEntities), replyToSeq: replyTo?.seq ?? 0 });
    setText("");
    onReplyEnd?.();
  };
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    send();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While an input method composes, Enter chooses a word.
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Escape" && replyTo) {
      event.preventDefault();
      onReplyEnd?.();
    }
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    send();
  };
  const endStickers = (sent: boolean): void => {
    picker.close();
    if (sent) onReplyEnd?.();
    field.current?.focus();
  };
  const note = left < 0 ? labels.tooLong(number(-left, locale)) : left <= FEW_LEFT ? labels.charsLeft(number(left, locale)) : "";
  return (
    <>
      {offered && picker.Picker && <picker.Picker conversationId={id} provider={offered} replyToSeq={replyTo?.seq ?? 0} labels={labels} onEnd={endStickers} />}
      <form className="parley-composer-form" onSubmit={onSubmit}>
        {replyTo && <Answering message={replyTo} labels={labels} onEnd={() => onReplyEnd?.()} />}
        <div className="parley-composer-row">
          {offered && (
            <button type="button" className="parley-button" aria-expanded={picker.Picker !== undefined} onClick={picker.Picker ? picker.close : picker.open}>
              {labels.stickers}
            </button>
          )}
          <textarea
            ref={field}
            className="parley-composer-text"
            rows={1}
            dir="auto"
            value={text}
            aria-label={labels.writeTo(name)}
            aria-describedby={noteId}
            aria-invalid={left < 0}
            placeholder={labels.write}
            onChange={(event) => setText(event.currentTarget.value)}
            onKeyDown={onKeyDown}
          />
          <button type="submit" className="parley-button parley-send" disabled={!sendable}>
            {labels.send}
          </button>
        </div>
        <p id={noteId} className={classes("parley-composer-note", left < 0 && "parley-danger")} role="status">
          {note || (picker.failed ? labels.stickersFailed : "")}
        </p>
      </form>
    </>
  );
}

/** Few send stickers: the code comes when somebody does. */
function useStickerPicker() {
  const [state, setState] = useState<{ readonly Picker?: (props: StickerPickerProps) => ReactElement; readonly failed?: true }>({});
  const open = (): void => void import("./sticker-picker.js").then(({ StickerPicker }) => setState({ Picker: StickerPicker }), () => setState({ failed: true }));
  return { ...state, open, close: () => setState({}) };
}

/** Who can be named with @: the others of a group. */
function usePeople({ conversation }: ConversationView): readonly Person[] {
  const client = useParley();
  const others = conversation.kind === "group" ? conversation.members.filter(({ userId }) => userId !== client.userId).map(({ userId }) => userId) : [];
  const names = useNames(others);
  return others.map((userId, i) => ({ userId, name: names[i] || userId }));
}

function Answering({ message, labels, onEnd }: { message: Message; labels: Labels; onEnd: () => void }): ReactElement {
  const client = useParley();
  const locale = useLocale();
  const [sender = ""] = useNames([message.senderId]);
  const nameOf = (userId: string): string => (userId === client.userId ? labels.you : client.people.nameOf(userId));
  return (
    <div className="parley-answering">
      <span className="parley-quote">
        <bdi className="parley-quote-name">{labels.replyTo(message.senderId === client.userId ? labels.you : sender)}</bdi>{" "}
        <bdi className="parley-quote-text">{messageLine(message, { labels, locale, selfId: client.userId, nameOf })}</bdi>
      </span>
      <button type="button" className="parley-button" onClick={onEnd}>
        {labels.endReply}
      </button>
    </div>
  );
}

/** How many messages were not sent, and the way to send all of them. */
function Unsent({ view: { conversation, outgoing }, labels }: { view: ConversationView; labels: Labels }): ReactElement | null {
  const client = useParley();
  const failed = outgoing.filter(({ state }) => state === "failed");
  const again = failed.filter(({ retryable }) => retryable);
  if (failed.length === 0) return null;
  return (
    <p className="parley-problem" role="status">
      <span>{labels.notSentCount(failed.length)}</span>
      {again.length > 0 && (
        <button type="button" className="parley-button" onClick={() => again.forEach(({ clientMessageId }) => client.messaging.retry(conversation.id, clientMessageId))}>
          {labels.tryAgain}
        </button>
      )}
    </p>
  );
}
