import { Code, ConnectError } from "@connectrpc/connect";
import { ParleyClient } from "@parley/client";
import { Audience } from "@parley/client/gen/parley/messaging/v1/relations_pb";
import { MockBackend } from "@parley/client/testing";
import { type ReactElement, StrictMode, useEffect, useState } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  Call,
  Composer,
  type Conversations,
  ConversationList,
  type DraftText,
  type Messages,
  ParleyProvider,
  Thread,
  useCall,
  useConnection,
  useConversation,
  useConversations,
  useDraft,
  useIncomingCall,
  useMessages,
  useParley,
  usePerson,
  usePresence,
  useTyping,
} from "../src/index.js";
import { aLongTalk, clientOf, someDays, text } from "../stories/world.js";
import { draw, until } from "./support.js";

let backend: MockBackend;
let alice: ParleyClient;
let ids: ReturnType<typeof someDays>;

beforeEach(() => {
  backend = new MockBackend();
  ids = someDays(backend);
  alice = clientOf(backend, "alice");
});
afterEach(() => alice.stop());

/** Draws what a hook gives, and keeps it: one entry for each time that it was drawn. */
function watch<T>(use: () => T, client = alice): T[] {
  const seen: T[] = [];
  const Probe = (): null => {
    seen.push(use());
    return null;
  };
  draw(
    <ParleyProvider client={client}>
      <Probe />
    </ParleyProvider>,
  );
  return seen;
}

const start = async (): Promise<void> => {
  void alice.start();
  await until("everything is here", () => alice.current && alice.relations.settings);
};

test("the connection is told as it comes and goes", async () => {
  const seen = watch(useConnection);
  await until("the hook is drawn", () => seen.length > 0);
  expect(seen[0]).toEqual({ stream: { kind: "connecting" }, current: false });
  await start();
  await until("it is live", () => seen.at(-1)?.stream.kind === "live" && seen.at(-1)?.current);
  // The pause before the next attempt is drawn by lot, and may be none.
  vi.spyOn(Math, "random").mockReturnValue(0.9);
  backend.dropStreams("alice");
  await until("it waits", () => seen.at(-1)?.stream.kind === "waiting");
});

test("the list has the newest activity first, and what did not change keeps its identity", async () => {
  await start();
  const seen: Conversations[] = watch(useConversations);
  await until("the list is drawn", () => seen.at(-1)?.ready);
  const before = seen.at(-1)!;
  expect(before.conversations.map(({ conversation }) => conversation.id)).toEqual([ids.hike, ids.bob]);
  backend.post(ids.bob, "bob", text("New"));
  await until("the other one is first", () => seen.at(-1)?.conversations[0]?.conversation.id === ids.bob);
  const after = seen.at(-1)!;
  expect(after.conversations[1]).toBe(before.conversations[0]);
  expect(after.conversations[0]).not.toBe(before.conversations[1]);
  expect(after.loadMore).toBe(before.loadMore);
});

test("who reads one conversation is not drawn for another one, nor for who writes", async () => {
  await start();
  const one = watch(() => useConversation(ids.hike));
  const messages: Messages[] = watch(() => useMessages(ids.hike));
  const other = watch(() => useConversation(ids.bob));
  const typing = watch(() => useTyping(ids.hike));
  await until("all are drawn", () => [one, messages, other, typing].every((seen) => seen.length > 0));
  const counts = (): number[] => [one.length, messages.length];
  const before = counts();
  backend.post(ids.bob, "bob", text("New"));
  await until("the other one is drawn", () => other.at(-1)?.messages.at(-1)?.content.kind === "text" && other.length > 1);
  const bob = clientOf(backend, "bob");
  void bob.start();
  await until("Bob is there", () => bob.current);
  bob.presence.draft(ids.hike, "I thi");
  await until("it is seen that Bob writes", () => typing.at(-1)?.[0] === "bob");
  expect(counts()).toEqual(before);
  bob.stop();
});

test("a message that is written is seen at once, and settles", async () => {
  await start();
  const seen: Messages[] = watch(() => useMessages(ids.bob));
  await until("it is drawn", () => seen.length > 0);
  const held = seen.at(-1)!;
  backend.faults.set("sendMessage", new ConnectError("down", Code.Unavailable));
  alice.messaging.send(ids.bob, "Hello");
  await until("it waits", () => seen.some(({ outgoing }) => outgoing[0]?.text === "Hello"));
  // What was given before is not changed afterwards.
  expect(held.outgoing).toEqual([]);
  backend.faults.clear();
  await until("it is acknowledged", () => seen.at(-1)?.outgoing.length === 0 && seen.at(-1)!.messages.length === held.messages.length + 1);
});

test("older messages come when they are asked for, and a failure can be tried again", async () => {
  const backendOfMany = new MockBackend();
  const id = aLongTalk(backendOfMany, 120);
  const client = clientOf(backendOfMany, "alice");
  void client.start();
  await until("everything is here", () => client.current);
  const seen: Messages[] = watch(() => useMessages(id), client);
  await until("there are older ones", () => seen.at(-1)?.hasOlder);
  const { loadOlder, messages } = seen.at(-1)!;
  backendOfMany.faults.set("listMessages", new ConnectError("down", Code.Unavailable));
  await loadOlder();
  await until("it failed", () => seen.at(-1)?.failed);
  backendOfMany.faults.clear();
  await seen.at(-1)!.loadOlder();
  await until("they are there", () => seen.at(-1)!.messages.length > messages.length && !seen.at(-1)!.failed);
  let answer: (() => void) | undefined;
  vi.spyOn(client.messaging, "loadOlder").mockReturnValueOnce(new Promise<void>((resolve) => (answer = resolve)));
  void seen.at(-1)!.loadOlder();
  await until("it says that it loads", () => seen.at(-1)?.loading);
  answer?.();
  await until("it has loaded", () => !seen.at(-1)?.loading);
  expect(seen.at(-1)!.loadOlder).toBe(loadOlder);
  client.stop();
});

test("a draft is the same for all who show it, and is kept", async () => {
  await start();
  const one: DraftText[] = watch(() => useDraft(ids.bob));
  const two: DraftText[] = watch(() => useDraft(ids.bob));
  await until("both are drawn", () => one.length > 0 && two.length > 0);
  one[0]!.setText("Not yet");
  await until("both have it", () => one.at(-1)?.text === "Not yet" && two.at(-1)?.text === "Not yet");
  expect(alice.drafts.get(ids.bob)).toBe("Not yet");
  expect(one.at(-1)!.setText).toBe(one[0]!.setText);
});

test("who writes in the request of a stranger is not seen to write", async () => {
  backend.relations.set("alice", { messageAudience: Audience.FOLLOWED });
  const { conversationId } = backend.openDirect("farid", "alice");
  backend.post(conversationId, "farid", text("Do you remember me?"));
  await start();
  const [request, known]: DraftText[][] = [watch(() => useDraft(conversationId)), watch(() => useDraft(ids.bob))];
  await until("both are drawn", () => request!.length > 0 && known!.length > 0);
  expect(alice.messaging.store.get(conversationId)?.own.request).toBe("pending");
  const told = vi.spyOn(alice.presence, "draft");
  request![0]!.setText("Who");
  known![0]!.setText("Hello");
  expect(told.mock.calls).toEqual([[ids.bob, "Hello"]]);
});

test("a storage that is full loses no letter of a draft", async () => {
  const full = { getItem: () => null, removeItem: () => undefined, setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
  const client = new ParleyClient({ userId: "alice", deviceId: "device-1", tokens: () => Promise.reject(new Error("none")), api: backend.apiFor("alice"), baseUrl: "", storage: full });
  const seen: DraftText[] = watch(() => useDraft(ids.bob), client);
  await until("it is drawn", () => seen.length > 0);
  seen[0]!.setText("All of it");
  await until("it is there", () => seen.at(-1)?.text === "All of it");
});

test("people get their names, and are seen to come", async () => {
  await start();
  const person = watch(() => usePerson("bob"));
  const presence = watch(() => usePresence("bob"));
  await until("the name is known", () => person.at(-1)?.name === "Bob Lindqvist");
  expect(person[0]?.name).toBe("bob");
  const bob = clientOf(backend, "bob");
  void bob.start();
  await until("Bob is online", () => presence.at(-1)?.online);
  bob.stop();
});

test("a call rings, is answered, and is drawn only when it changes", async () => {
  await start();
  const call = watch(useCall);
  const incoming = watch(useIncomingCall);
  await until("both are drawn", () => call.length > 0 && incoming.length > 0);
  expect(call[0]!.view.phase).toBe("idle");
  const drawn = call.length;
  backend.post(ids.bob, "bob", text("May I call?"));
  await until("the message is there", () => alice.messaging.store.get(ids.bob)?.messages.at(-1)?.seq === 5);
  backend.calls.methodsOf("bob").startCall({ conversationId: ids.bob, video: true, deviceId: "theirs" });
  await until("it rings", () => incoming.at(-1)?.callerId === "bob");
  expect(call.length - drawn).toBe(1);
  expect(incoming.at(-1)).toMatchObject({ conversationId: ids.bob, video: true, group: false, waiting: false });
  incoming.at(-1)!.accept(false);
  await until("it runs", () => call.at(-1)?.view.phase === "active" && call.at(-1)?.view.connection === "connected");
  expect(incoming.at(-1)).toBeUndefined();
  expect(call.at(-1)!.hangUp).toBe(call[0]!.hangUp);
  call.at(-1)!.hangUp();
  await until("it is over", () => call.at(-1)?.view.phase === "ended");
});

test("another client or conversation is read at once", async () => {
  await start();
  const seen: (string | undefined)[] = [];
  let choose: ((id: string) => void) | undefined;
  const Probe = (): null => {
    const [id, setId] = useState(ids.bob);
    useEffect(() => {
      choose = setId;
    }, []);
    seen.push(useConversation(id)?.conversation.id);
    return null;
  };
  const { again } = draw(<ParleyProvider client={alice}><Probe /></ParleyProvider>);
  const other = await until("the first is there", () => seen.at(-1) === ids.bob && choose);
  other(ids.hike);
  await until("the other is there", () => seen.at(-1) === ids.hike);
  const bob = clientOf(backend, "bob");
  again(<ParleyProvider client={bob}><Probe /></ParleyProvider>);
  await until("Bob's device has nothing yet", () => seen.at(-1) === undefined);
});

test("in strict mode everything subscribes once in the end, and leaves nothing behind", async () => {
  let open = 0;
  const subscribe = alice.subscribe.bind(alice);
  alice.subscribe = (listener) => {
    open++;
    const end = subscribe(listener);
    let ended = false;
    return () => {
      if (!ended) open--;
      ended = true;
      end();
    };
  };
  const One = (): ReactElement => <>{useConversation(ids.bob)?.conversation.id}</>;
  const { box, again } = draw(<StrictMode><ParleyProvider client={alice}><One /></ParleyProvider></StrictMode>);
  await start();
  await until("it is drawn, and has subscribed", () => box.textContent === ids.bob && open === 1);
  again(<StrictMode />);
  await until("it is gone", () => box.textContent === "" && open === 0);
});

test("the provider tells the client what happens to the page, and stops when it goes", async () => {
  const told: string[] = [];
  alice.setHidden = (hidden) => void told.push(`hidden ${hidden}`);
  alice.reconnect = () => void told.push("online");
  alice.hangUpOnUnload = () => void told.push("closed");
  const happen = (): void => {
    document.dispatchEvent(new Event("visibilitychange"));
    dispatchEvent(new Event("online"));
    dispatchEvent(new Event("pagehide"));
  };
  const { box, again } = draw(<ParleyProvider client={alice}>there</ParleyProvider>);
  await until("it listens", () => {
    told.length = 0;
    happen();
    return told.length === 3;
  });
  expect(told).toEqual(["hidden false", "online", "closed"]);
  again(<p>gone</p>);
  await until("it is gone", () => box.textContent === "gone");
  await until("it listens no more", () => {
    told.length = 0;
    happen();
    return told.length === 0;
  });
});

test("without a client the fallback is shown, and a hook outside of a provider says what is wrong", () => {
  expect(renderToString(<ParleyProvider client={undefined} fallback="Log in">never</ParleyProvider>)).toBe("Log in");
  const Lost = (): null => {
    useParley();
    return null;
  };
  expect(() => renderToString(<Lost />)).toThrow(/within a <ParleyProvider>/);
});

test("a server draws everything as if nothing were known, whatever the client has", async () => {
  await start();
  const page = (client: ParleyClient): string =>
    renderToString(
      <ParleyProvider client={client}>
        <ConversationList onSelect={() => undefined} />
        <Thread conversationId={ids.bob} />
        <Composer conversationId={ids.bob} />
        <Call />
      </ParleyProvider>,
    );
  // Preact asks for no snapshot of a server: with it, a page is drawn there before its client is started.
  const client = process.env["DRAWN_BY"] === "preact" ? clientOf(backend, "alice") : alice;
  expect(page(client)).toBe(page(clientOf(backend, "alice")));
  expect(page(client)).toContain("Loading…");
});
