import type { Limits, Presence, Profile, StreamState } from "@parley/client";
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { draftsOf } from "./live-drafts.js";
import { useParley } from "./provider.js";
import { sameFields, sameItems, useSelected } from "./selected.js";

export interface Connection {
  /** How the event stream stands. */
  readonly stream: StreamState;
  /** Whether all that the service has is here; while it is not, what is shown may be older. */
  readonly current: boolean;
}

const CONNECTING: Connection = { stream: { kind: "connecting" }, current: false };

/** The connection to Parley. */
export function useConnection(): Connection {
  return useSelected(({ stream, current }): Connection => ({ stream, current }), sameFields, CONNECTING);
}

const NOBODY: readonly string[] = [];

/** The ids of those who write in a conversation now. */
export function useTyping(conversationId: string): readonly string[] {
  return useSelected((client): readonly string[] => client.presence.typing(conversationId), sameItems, NOBODY, conversationId);
}

/** Whether somebody is online, or when they were; undefined where that is not known. */
export function usePresence(userId: string): Presence | undefined {
  return useSelected((client) => client.presence.of(userId), sameFields, undefined, userId);
}

const UNNAMED: Profile = { name: "", avatarUrl: "" };

/** A person's name, which is the id until the network has told it, and picture. */
export function usePerson(userId: string): Profile {
  return useSelected(({ people }): Profile => ({ name: people.nameOf(userId), avatarUrl: people.avatarOf(userId) }), sameFields, UNNAMED, userId);
}

const NO_NAMES: readonly string[] = [];

/** Names of several people, in the order of their ids. */
export function useNames(userIds: readonly string[]): readonly string[] {
  return useSelected((client): readonly string[] => userIds.map((id) => client.people.nameOf(id)), sameItems, NO_NAMES, userIds.join("\n"));
}

/** The service's limits; undefined until it has told them. */
export function useLimits(): Limits | undefined {
  return useSelected((client) => (client.relations.settings ? client.limits : undefined), sameFields, undefined);
}

export interface DraftText {
  readonly text: string;
  /** Keeps it in this browser, and tells the others that this user writes. */
  readonly setText: (text: string) => void;
}

/** What was written in a conversation and not sent. All who ask for one draft have the same. */
export function useDraft(conversationId: string): DraftText {
  const client = useParley();
  const drafts = draftsOf(client);
  const subscribe = useCallback((listener: () => void) => drafts.subscribe(listener), [drafts]);
  const text = useSyncExternalStore(subscribe, () => drafts.get(conversationId), () => "");
  const setText = useCallback(
    (next: string) => {
      drafts.set(conversationId, next);
      // A stranger learns nothing of a request until it is accepted.
      if (client.messaging.store.get(conversationId)?.own.request === "none") client.presence.draft(conversationId, next);
    },
    [client, drafts, conversationId],
  );
  return useMemo(() => ({ text, setText }), [text, setText]);
}

/** Whether the user sees this page and works in it: what is shown meanwhile counts as read. */
export function useAttention(): boolean {
  // On a server nobody looks.
  const [attentive, setAttentive] = useState(false);
  useEffect(() => {
    const look = (): void => setAttentive(document.visibilityState === "visible" && document.hasFocus());
    look();
    document.addEventListener("visibilitychange", look);
    addEventListener("focus", look);
    addEventListener("blur", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      removeEventListener("focus", look);
      removeEventListener("blur", look);
    };
  }, []);
  return attentive;
}

/** The time, moving on every `stepMs`; undefined on a server, whose clock is not the reader's. */
export function useNow(stepMs: number): number | undefined {
  const [nowMs, setNowMs] = useState<number>();
  useEffect(() => {
    const tick = (): void => setNowMs(Date.now());
    tick();
    const timer = setInterval(tick, stepMs);
    return () => clearInterval(timer);
  }, [stepMs]);
  return nowMs;
}
