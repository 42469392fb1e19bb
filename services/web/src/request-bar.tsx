import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationView, Failure, ParleyClient } from "@parley/client";
import { ConfirmDialog } from "./confirm-dialog";
import type { ConversationTitle } from "./conversation-text";
import { t } from "./text";

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
      <p>{t("refused", { name: props.face.name })}</p>
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
    await act().catch((failure: Failure) => client.showNotice(failure));
    setBusy(false);
  };
  const putAway = async (block: boolean): Promise<void> => {
    await relations.decline(id, block);
    onClose();
  };
  const who = t(kind === "group" ? "request.group" : "request.from", { name: face.name });
  return (
    <section class="request-bar" aria-label={t("request.title")}>
      <p>
        <strong>{who}</strong> {t("request.hint")}
      </p>
      <div class="request-buttons">
        <button type="button" class="primary" disabled={busy} onClick={() => void run(() => relations.accept(id))}>
          {t("request.accept")}
        </button>
        <button type="button" class="secondary" disabled={busy} onClick={() => void run(() => putAway(false))}>
          {t("request.decline")}
        </button>
        <button type="button" class="plain danger" disabled={busy} onClick={() => setBlocking(true)}>
          {t("block")}
        </button>
        <button type="button" class="plain danger" disabled={busy} onClick={onReport}>
          {t("report")}
        </button>
      </div>
      {blocking && (
        <ConfirmDialog
          title={kind === "group" ? t("request.block.group") : t("block.ask", { name: face.name })}
          body={t("block.hint")}
          verb={t("block")}
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
    if (peer) void client.relations.unblock(peer).catch((failure: Failure) => client.showNotice(failure));
  };
  return (
    <div class="request-bar" role="status">
      <p>{t("blocked.by.you", { name: face.name })}</p>
      <div class="request-buttons">
        <button type="button" class="secondary" onClick={unblock}>
          {t("unblock")}
        </button>
      </div>
    </div>
  );
}
