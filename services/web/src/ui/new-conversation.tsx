import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure, ParleyClient } from "../parley";

interface NewConversationProps {
  readonly client: ParleyClient;
  readonly onOpen: (conversationId: string) => void;
}

/** Starts a conversation by user id. */
export function NewConversation({ client, onOpen }: NewConversationProps): JSX.Element {
  const [userId, setUserId] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const peer = userId.trim();
    if (!peer) return;
    if (peer === client.userId) return setProblem("That is you. Enter someone else's user id.");
    setBusy(true);
    setProblem("");
    try {
      onOpen(await client.messaging.openDirect(peer));
    } catch (error) {
      setProblem((error as Failure).line);
      setBusy(false);
    }
  };
  return (
    <form class="new-conversation" onSubmit={(event) => void submit(event)}>
      <label for="peer-id">Message someone</label>
      <div class="field-row">
        <input
          id="peer-id"
          ref={input}
          value={userId}
          placeholder="User id"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          maxLength={128}
          onInput={(event) => setUserId(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={busy || !userId.trim()}>
          Start
        </button>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}
