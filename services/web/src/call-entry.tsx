import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure, ParleyClient } from "@parley/client";
import { joinSecretOf } from "@parley/client";
import { ConfirmDialog } from "./confirm-dialog";
import { Modal } from "./modal";
import { t } from "./text";

interface CallEntryProps {
  readonly client: ParleyClient;
  readonly nameOf: (userId: string) => string;
}

interface Waiting {
  readonly callId: string;
  readonly hostUserId: string;
}

/** For whoever opened a join link: asks, waits in the lobby where they must, and goes into the call. */
export function CallEntry({ client, nameOf }: CallEntryProps): JSX.Element | null {
  const [secret, setSecret] = useState(() => joinSecretOf(location.href) ?? "");
  const [waiting, setWaiting] = useState<Waiting | undefined>(undefined);
  // The question closes itself once it is answered, and must not close what follows.
  const answered = useRef(false);
  const state = waiting && client.joinLinks.place(waiting.callId)?.state;
  const close = (): void => {
    // Only here, so that a reload meanwhile asks again.
    history.replaceState(null, "", `/${location.search}`);
    setSecret("");
  };
  const enter = async (): Promise<void> => {
    const opened = await client.joinLinks.open(secret);
    if (opened.kind === "lobby") {
      setWaiting({ callId: opened.place.callId, hostUserId: opened.hostUserId });
      return;
    }
    close();
    client.calls.join(opened.call, opened.call.video);
  };
  useEffect(() => {
    if (state !== "admitted") return;
    void enter().catch((failure: Failure) => {
      client.showNotice(failure);
      close();
    });
  }, [state]);
  if (!secret) return null;
  if (!waiting) {
    const act = async (): Promise<void> => {
      await enter();
      answered.current = true;
    };
    return <ConfirmDialog title={t("join.call.ask")} body={t("join.call.hint")} verb={t("join")} act={act} onClose={() => answered.current || close()} />;
  }
  const giveUp = (): void => {
    if (state === "waiting") void client.joinLinks.leaveLobby(waiting.callId).catch(() => undefined);
    close();
  };
  return (
    <Modal title={t("join.call.waiting")} onClose={giveUp}>
      <p role="status" data-testid="lobby">
        {state === "refused" ? t("join.call.refused") : state === "closed" ? t("join.call.closed") : t("join.call.waiting.hint", { name: nameOf(waiting.hostUserId) })}
      </p>
      <div class="question-buttons">
        <button type="button" class="plain" onClick={giveUp}>
          {state === "waiting" ? t("join.call.leave") : t("close")}
        </button>
      </div>
    </Modal>
  );
}
