import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationView, Failure, ParleyClient } from "@parley/client";
import { ConfirmDialog } from "./confirm-dialog";
import type { ConversationTitle } from "./conversation-text";

/** Whether one can write in a conversation, and if not, why. */
export type Permission = "write" | "request" | "blocked" | "refused";

export function usePermission(client: ParleyClient, { own, conversation }: ConversationView, peer: string | undefined): Permission {
  if (own.request === "pending") return "request";
  if (peer && client.relations.isBlocked(peer)) return "blocked";
  return client.messaging.isWriteRefused(conversation.id) ? "refused" : "write";
}

interface RequestBarProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly face: ConversationTitle;
  readonly permission: Exclude<Permission, "write">;
  readonly onReport: () => void;
  readonly onClose: () => void;
}

/** In place of the line to write in. */
export function RequestBar({ permission, ...props }: RequestBarProps): JSX.Element {
  if (permission === "request") return <Waiting {...props} />;
  if (permission === "blocked") return <Blocked {...props} />;
  return (
    <div class="request-bar" role="status">
      <p>You cannot write to {props.face.name} at the moment.</p>
    </div>
  );
}

type BarProps = Omit<RequestBarProps, "permission">;

function Waiting({ client, view, face, onReport, onClose }: BarProps): JSX.Element {
  const [blocking, setBlocking] = useState(false);
  const [busy, setBusy] = useState(false);
  const { id, kind } = view.conversation;
  const { relations } = client;
  const run = async (act: () => Promise<void>): Promise<void> => {
    setBusy(true);
    await act().catch((failure: Failure) => client.showNotice(failure.line));
    setBusy(false);
  };
  const putAway = async (block: boolean): Promise<void> => {
    await relations.decline(id, block);
    onClose();
  };
  const who = kind === "group" ? `You were added to “${face.name}”.` : `${face.name} would like to write to you.`;
  return (
    <section class="request-bar" aria-label="Message request">
      <p>
        <strong>{who}</strong> Until you accept, nobody learns that you have seen this or whether you are online.
      </p>
      <div class="request-buttons">
        <button type="button" class="primary" disabled={busy} onClick={() => void run(() => relations.accept(id))}>
          Accept
        </button>
        <button type="button" class="secondary" disabled={busy} onClick={() => void run(() => putAway(false))}>
          Decline
        </button>
        <button type="button" class="plain danger" disabled={busy} onClick={() => setBlocking(true)}>
          Block
        </button>
        <button type="button" class="plain danger" disabled={busy} onClick={onReport}>
          Report
        </button>
      </div>
      {blocking && (
        <ConfirmDialog
          title={kind === "group" ? "Decline, and block who added you?" : `Block ${face.name}?`}
          body="They can no longer write to you, call you, or see when you are online. They are not told."
          verb="Block"
          danger
          act={() => putAway(true)}
          onClose={() => setBlocking(false)}
        />
      )}
    </section>
  );
}

function Blocked({ client, face }: BarProps): JSX.Element {
  const { peer } = face;
  const unblock = (): void => {
    if (peer) void client.relations.unblock(peer).catch((failure: Failure) => client.showNotice(failure.line));
  };
  return (
    <div class="request-bar" role="status">
      <p>You blocked {face.name}. Neither of you can write to or call the other.</p>
      <div class="request-buttons">
        <button type="button" class="secondary" onClick={unblock}>
          Unblock
        </button>
      </div>
    </div>
  );
}
