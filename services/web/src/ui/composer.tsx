import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ParleyClient } from "../parley";
import { Icon } from "./icons";

/** The service's limit, in code points. */
const MAX_CHARACTERS = 10_000;

interface ComposerProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly peerName: string;
  /** What was written and not sent, by conversation. */
  readonly drafts: Map<string, string>;
}

/** Enter sends; Shift and Enter starts a new line. */
export function Composer({ client, conversationId, peerName, drafts }: ComposerProps): JSX.Element {
  const [text, setText] = useState(drafts.get(conversationId) ?? "");
  const field = useRef<HTMLTextAreaElement>(null);
  const excess = text.length > MAX_CHARACTERS ? [...text].length - MAX_CHARACTERS : 0;
  const sendable = text.trim() !== "" && excess <= 0;
  useLayoutEffect(() => fit(field.current), [text]);
  useEffect(() => {
    // On a touch screen this would push the keyboard over the conversation.
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
    return () => client.presence.stopTyping(conversationId);
  }, []);
  const change = (next: string): void => {
    setText(next);
    drafts.set(conversationId, next);
    client.presence.draft(conversationId, next);
  };
  const send = (): void => {
    if (!sendable) return;
    client.messaging.send(conversationId, text.trim());
    change("");
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    // While an input method composes, Enter chooses a word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {excess > 0 && (
        <p class="problem" role="alert">
          Too long by {excess.toLocaleString()} {excess === 1 ? "character" : "characters"}.
        </p>
      )}
      <div class="composer-row">
        <textarea
          ref={field}
          rows={1}
          value={text}
          aria-label={`Message to ${peerName}`}
          placeholder="Write a message"
          dir="auto"
          onInput={(event) => change(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        <button type="submit" class="send" aria-label="Send" title="Send" disabled={!sendable}>
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

/** Grows with its text; the style sheet sets the greatest height. */
function fit(field: HTMLTextAreaElement | null): void {
  if (!field) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
