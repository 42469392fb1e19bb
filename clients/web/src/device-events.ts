import type { ParleyClient } from "./client.js";
import type { DeviceEvent } from "./gen/parley/gateway/v1/messages_pb.js";
import { readConversation, readMessage, readOwnState, readPresence } from "./wire.js";

/** Hands an event of the stream to the part of the client that it concerns; `catchUp` fetches what no event will tell any more. */
export function handOut({ case: kind, value }: DeviceEvent["event"], client: ParleyClient, catchUp: () => void): void {
  switch (kind) {
    case "ready":
      // A resumed stream replays what was missed, and keeps its watch list.
      if (value.resumed) return undefined;
      client.presence.unwatch();
      return catchUp();
    case "resync":
      return catchUp();
    case "message":
      // Whoever has sent is no longer typing, even if the news of that is lost or late.
      if (value.revision === 0n) client.presence.applyTyping(value.conversationId, value.senderId, false);
      return client.messaging.receive(readMessage(value));
    case "conversation":
      return client.messaging.receiveConversation(readConversation(value));
    case "read": {
      const { conversationId, userId, readSeq, deliveredSeq } = value;
      return client.messaging.receiveCursors(conversationId, userId, { readSeq: Number(readSeq), deliveredSeq: Number(deliveredSeq) });
    }
    case "ownState":
      return value.ownState && client.messaging.receiveOwnState(value.conversationId, readOwnState(value.ownState));
    case "relations":
      client.messaging.clearWriteRefusals();
      return void client.relations.refresh().catch(() => undefined);
    case "typing":
      return client.presence.applyTyping(value.conversationId, value.userId, value.typing);
    case "presence":
      return client.presence.applyPresence(value.userId, readPresence(value));
    case "call":
      return client.calls.receive(value);
    case "callKey":
      return client.encryption.receive(value);
    case "keysChanged":
      return client.encryption.refresh();
    case "lobbyPlace":
      return client.joinLinks.receive(value);
    case "scheduledCall":
      return value.scheduledCall && client.scheduledCalls.receive(value.scheduledCall);
    case "scheduledMessage":
      return client.scheduled.receive(value);
    case "draft":
      return client.drafts.receive(value);
    default:
      return undefined;
  }
}
