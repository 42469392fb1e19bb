import type { Api } from "./api.js";
import type { OwnState } from "./core/model.js";
import { MUTE_FOREVER_MS } from "./core/own-state.js";
import { orFailure } from "./errors.js";
import type { OwnState as WireOwnState } from "./gen/parley/messaging/v1/messages_pb.js";
import { readOwnState, writeTime } from "./wire.js";

interface Conversations {
  receiveOwnState(conversationId: string, own: OwnState): void;
}

/** The user's own settings of conversations: pinned, archived, muted, marked unread. Nobody else sees them. Every method rejects with a Failure. */
export class ConversationSettings {
  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
  ) {}

  pin(conversationId: string, pinned: boolean): Promise<void> {
    return this.kept(conversationId, this.api.messaging.updateOwnState({ conversationId, pinned }));
  }

  archive(conversationId: string, archived: boolean): Promise<void> {
    return this.kept(conversationId, this.api.messaging.updateOwnState({ conversationId, archived }));
  }

  markUnread(conversationId: string, markedUnread: boolean): Promise<void> {
    return this.kept(conversationId, this.api.messaging.updateOwnState({ conversationId, markedUnread }));
  }

  /** Mutes for a while; without a length until further notice. */
  mute(conversationId: string, lengthMs?: number): Promise<void> {
    return this.muteUntil(conversationId, lengthMs === undefined ? MUTE_FOREVER_MS : Date.now() + lengthMs);
  }

  unmute(conversationId: string): Promise<void> {
    return this.muteUntil(conversationId, 0);
  }

  private muteUntil(conversationId: string, endMs: number): Promise<void> {
    return this.kept(conversationId, this.api.messaging.updateOwnState({ conversationId, muteEndTime: writeTime(endMs) }));
  }

  private async kept(conversationId: string, request: Promise<{ ownState?: WireOwnState | undefined }>): Promise<void> {
    const { ownState } = await orFailure(request);
    if (ownState) this.conversations.receiveOwnState(conversationId, readOwnState(ownState));
  }
}
