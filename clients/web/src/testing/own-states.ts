import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type OwnState, OwnStateSchema, RequestState } from "../gen/parley/messaging/v1/messages_pb.js";
import type { MockBackend, MockConversation } from "./backend.js";

/** Each user's own state of each conversation; its events go to the user's own devices only. */
export class MockOwnStates {
  private readonly states = new Map<string, OwnState>();

  constructor(private readonly backend: MockBackend) {}

  /** With the count of what is unread now. */
  of(userId: string, stored: MockConversation): OwnState {
    const state = this.states.get(key(userId, stored.conversation.conversationId)) ?? create(OwnStateSchema);
    const others = stored.messages.filter((m) => m.seq > state.readSeq && m.senderId !== userId);
    const unreadCount = others.filter((m) => ["text", "voice", "poll", "sticker", "call"].includes(m.content.case ?? "")).length;
    return { ...state, unreadCount };
  }

  /** Sets without telling anyone. */
  set(userId: string, conversationId: string, next: Partial<OwnState>): void {
    const before = this.states.get(key(userId, conversationId)) ?? create(OwnStateSchema);
    this.states.set(key(userId, conversationId), { ...before, ...next });
  }

  change(userId: string, stored: MockConversation, next: Partial<OwnState>): OwnState {
    const { conversationId } = stored.conversation;
    this.set(userId, conversationId, next);
    const ownState = this.of(userId, stored);
    this.backend.sendEvent([userId], { case: "ownState", value: { $typeName: "parley.gateway.v1.OwnStateChanged", conversationId, ownState } });
    return ownState;
  }
}

const key = (userId: string, conversationId: string): string => `${userId} ${conversationId}`;

interface OwnChange {
  readonly conversationId: string;
  readonly pinned?: boolean | undefined;
  readonly archived?: boolean | undefined;
  readonly markedUnread?: boolean | undefined;
  readonly muteEndTime?: Timestamp | undefined;
}

export function conversationSettingsOf(backend: MockBackend, userId: string) {
  return {
    updateOwnState: ({ conversationId, pinned, archived, markedUnread, muteEndTime }: OwnChange) => {
      backend.count("updateOwnState");
      const next: Partial<OwnState> = {};
      if (pinned !== undefined) next.pinned = pinned;
      if (archived !== undefined) next.archived = archived;
      if (markedUnread !== undefined) next.markedUnread = markedUnread;
      if (muteEndTime) next.muteEndTime = muteEndTime;
      return { ownState: backend.own.change(userId, backend.stored(conversationId), next) };
    },
  };
}

export const PENDING: Partial<OwnState> = { request: RequestState.PENDING };
