import type { Conversation, ConversationView, Folder, Message, Outgoing, ParleyClient } from "@parley/client";
import { folderOf } from "@parley/client";
import { useCallback, useMemo, useState } from "react";
import { useParley } from "./provider.js";
import { sameFields, sameItems, useSelected } from "./selected.js";

const NO_MESSAGES: readonly Message[] = [];
const NO_OUTGOING: readonly Outgoing[] = [];

/** The store adds to its list of unsent messages in place: a reading has to be a copy of its own. */
function readView(client: ParleyClient, id: string): ConversationView | undefined {
  const view = client.messaging.store.get(id);
  return view && { ...view, outgoing: [...view.outgoing] };
}

function sameView(before: ConversationView | undefined, after: ConversationView | undefined): boolean {
  return sameFields(before, after, { messages: sameItems, outgoing: sameItems });
}

/** One conversation; undefined while it is not known here. */
export function useConversation(conversationId: string): ConversationView | undefined {
  return useSelected((client) => readView(client, conversationId), sameView, undefined, conversationId);
}

export interface Conversations {
  /** The pinned ones first, each part with the newest activity first. Those that did not change keep their identity. */
  readonly conversations: readonly ConversationView[];
  /** Whether the newest ones are here, or what this device kept of them. */
  readonly ready: boolean;
  /** Whether the service has older ones. */
  readonly hasMore: boolean;
  /** Brings a page of older ones. Never rejects: what failed can be asked for again. */
  readonly loadMore: () => Promise<void>;
}

const BLANK_LIST: Omit<Conversations, "loadMore"> = { conversations: [], ready: false, hasMore: false };

/** The conversations of a folder: the inbox, the archive or the requests. */
export function useConversations(folder: Folder = "inbox"): Conversations {
  const client = useParley();
  const list = useSelected(
    ({ messaging }, before) => {
      const known = new Map(before?.conversations.map((view) => [view.conversation.id, view]));
      const views = messaging.store.list().filter(({ own }) => folderOf(own) === folder);
      const conversations = views.map((view) => {
        const former = known.get(view.conversation.id);
        return former && sameView(former, view) ? former : { ...view, outgoing: [...view.outgoing] };
      });
      return { conversations, ready: messaging.ready, hasMore: messaging.hasMore };
    },
    (before, after) => sameFields(before, after, { conversations: sameItems }),
    BLANK_LIST,
    folder,
  );
  const loadMore = useCallback(() => client.messaging.loadMore().catch(() => undefined), [client]);
  return useMemo(() => ({ ...list, loadMore }), [list, loadMore]);
}

export interface Messages {
  /** Ascending, without gaps among themselves. */
  readonly messages: readonly Message[];
  /** Written here and not acknowledged yet; shown after all messages. */
  readonly outgoing: readonly Outgoing[];
  /** Whether the service has older ones. */
  readonly hasOlder: boolean;
  readonly loading: boolean;
  /** The last attempt to bring older ones failed. */
  readonly failed: boolean;
  /** Brings older ones. Never rejects: `failed` says how it went. */
  readonly loadOlder: () => Promise<void>;
}

type Held = Pick<Messages, "messages" | "outgoing" | "hasOlder">;

const BLANK_MESSAGES: Held = { messages: NO_MESSAGES, outgoing: NO_OUTGOING, hasOlder: false };

/** The messages of a conversation, and the way to older ones. */
export function useMessages(conversationId: string): Messages {
  const client = useParley();
  const held = useSelected<Held>(
    (from) => {
      const view = from.messaging.store.get(conversationId);
      return view ? { messages: view.messages, outgoing: [...view.outgoing], hasOlder: view.hasOlder } : BLANK_MESSAGES;
    },
    (before, after) => sameFields(before, after, { messages: sameItems, outgoing: sameItems }),
    BLANK_MESSAGES,
    conversationId,
  );
  const [asked, setAsked] = useState<{ readonly of: string; readonly state: "loading" | "failed" }>();
  const loadOlder = useCallback(async () => {
    setAsked({ of: conversationId, state: "loading" });
    try {
      await client.messaging.loadOlder(conversationId);
      setAsked(undefined);
    } catch {
      setAsked({ of: conversationId, state: "failed" });
    }
  }, [client, conversationId]);
  const state = asked?.of === conversationId ? asked.state : undefined;
  return useMemo(() => ({ ...held, loading: state === "loading", failed: state === "failed", loadOlder }), [held, state, loadOlder]);
}

/** What a conversation is called, and whom its picture shows. */
export interface Face {
  readonly name: string;
  /** The other side of a direct conversation; undefined for a group. */
  readonly peerUserId: string | undefined;
  readonly avatarUrl: string;
}

const BLANK_FACE: Face = { name: "", peerUserId: undefined, avatarUrl: "" };

/** A direct conversation has its peer's name and picture, a group its title. */
export function faceOf(client: ParleyClient, conversation: Conversation | undefined): Face {
  if (!conversation) return BLANK_FACE;
  if (conversation.kind === "group") return { name: conversation.title, peerUserId: undefined, avatarUrl: "" };
  const peerUserId = conversation.members.find(({ userId }) => userId !== client.userId)?.userId ?? client.userId;
  return { name: client.people.nameOf(peerUserId), peerUserId, avatarUrl: client.people.avatarOf(peerUserId) };
}

/** The name and picture of a conversation, as they come to be known. */
export function useFace(conversationId: string): Face {
  return useSelected((client) => faceOf(client, client.messaging.store.get(conversationId)?.conversation), sameFields, BLANK_FACE, conversationId);
}
