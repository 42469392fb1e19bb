import type { JSX } from "preact";
import type { ParleyClient } from "@parley/client";
import { Icon } from "./icons";
import { t } from "./text";

/** Somebody else calls during a call; answering leaves the running one. */
export function CallWaiting({ client, nameOf }: { client: ParleyClient; nameOf: (userId: string) => string }): JSX.Element | null {
  const { calls } = client;
  const call = calls.waiting();
  if (!call) return null;
  const group = call.group ? client.messaging.store.get(call.conversationId)?.conversation.title : undefined;
  const name = nameOf(call.callerId);
  return (
    <div class="call-waiting note" role="alert" aria-label={t("waiting.title")}>
      <Icon name={call.video ? "video" : "phone"} />
      <span>{group ? t("waiting.call.group", { name, group }) : t("waiting.call", { name })}</span>
      <button type="button" onClick={() => calls.declineWaiting()}>
        {t("call.decline")}
      </button>
      <button type="button" onClick={() => calls.answerWaiting(call.video)}>
        {t("waiting.answer")}
      </button>
    </div>
  );
}
