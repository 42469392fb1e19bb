import type { JSX } from "preact";
import type { ParleyClient } from "@parley/client";
import { Icon } from "./icons";

/** Somebody else calls during a call; answering leaves the running one. */
export function CallWaiting({ client, nameOf }: { client: ParleyClient; nameOf: (userId: string) => string }): JSX.Element | null {
  const { calls } = client;
  const call = calls.waiting();
  if (!call) return null;
  const group = call.group ? client.messaging.store.get(call.conversationId)?.conversation.title : undefined;
  const name = nameOf(call.callerId);
  return (
    <div class="call-waiting note" role="alert" aria-label="Another call">
      <Icon name={call.video ? "video" : "phone"} />
      <span>{group ? `${name} is calling “${group}”` : `${name} is calling`}</span>
      <button type="button" onClick={() => calls.declineWaiting()}>
        Decline
      </button>
      <button type="button" onClick={() => calls.answerWaiting(call.video)}>
        Leave and answer
      </button>
    </div>
  );
}
