/** The stories' backend in memory, and what is in it. */
import { create } from "@bufbuild/protobuf";
import { MemoryDeviceStore, ParleyClient } from "@parley/client";
import { ConversationKind, MemberRole, type Message, ReactionSchema, TextContentSchema } from "@parley/client/gen/parley/messaging/v1/messages_pb";
import { FakeMedia, MockBackend, remoteParticipant } from "@parley/client/testing";
import { type ReactElement, type ReactNode, useEffect, useState } from "react";
import { type Labels, ParleyProvider } from "../src/index.js";

const MINUTE_MS = 60_000;
const NAMES: Readonly<Record<string, string>> = { alice: "Alice Moreau", bob: "Bob Lindqvist", chidi: "Chidi Okafor", layla: "ليلى حداد" };

export const text = (value: string): Message["content"] => ({ case: "text", value: { $typeName: "parley.messaging.v1.TextContent", text: value, entities: [], masked: false } });

/** Alice with Bob, and a group of three. Returns the ids of both. */
export function someDays(backend: MockBackend): { readonly bob: string; readonly hike: string } {
  const bob = backend.openDirect("alice", "bob").conversationId;
  const say = (id: string, who: string, what: string, ageMinutes: number): number => Number(backend.post(id, who, text(what), { ageMs: ageMinutes * MINUTE_MS }).seq);
  say(bob, "bob", "Did you get the tickets?", 1500);
  say(bob, "alice", "Yes! Row 12, two seats by the aisle.", 1498);
  say(bob, "bob", "That was a great evening", 50);
  const programme = backend.files.add({ fileName: "programme-friday-evening.pdf", contentType: "application/pdf" }, new Blob(["x".repeat(348_000)]));
  backend.post(bob, "bob", text("The programme"), { ageMs: 49 * MINUTE_MS, init: { attachments: [programme] } });
  const members = ["alice", "bob", "chidi"].map((userId, i) => ({ userId, role: i === 0 ? MemberRole.OWNER : MemberRole.MEMBER }));
  const hike = backend.createConversation({ conversationId: "hike", kind: ConversationKind.GROUP, title: "Sunday hike", members }).conversation.conversationId;
  const plan = say(hike, "chidi", "Shall we take the ridge or the valley?", 9);
  const edited = say(hike, "bob", "The ridge!", 8);
  const slip = say(hike, "bob", "Wrong group", 7);
  const answer = say(hike, "alice", "Ridge for me too. I bring tea", 5);
  backend.changeMessage(hike, plan, { reactions: [create(ReactionSchema, { emoji: "👍", userIds: ["alice", "bob"] })] });
  backend.changeMessage(hike, edited, { editCount: 1 });
  backend.changeMessage(hike, slip, { content: { case: "unsent", value: { $typeName: "parley.messaging.v1.Unsent" } } });
  backend.changeMessage(hike, answer, { replyToSeq: BigInt(plan) });
  return { bob, hike };
}

/** A link with what is behind it. */
export function somePreview(backend: MockBackend): string {
  const id = backend.openDirect("alice", "bob").conversationId;
  const url = "https://opera.example/friday";
  const preview = { url, title: "Friday evening: the programme", description: "From half past seven, in the great hall.", siteName: "The Opera" };
  backend.post(id, "bob", { case: "text", value: create(TextContentSchema, { text: url, entities: [{ offset: 0, length: url.length, entity: { case: "linkUrl", value: url } }], preview }) });
  return id;
}

/** A conversation with so many messages, all of which this device has. */
export function aLongTalk(backend: MockBackend, count: number): string {
  const id = backend.openDirect("alice", "bob").conversationId;
  for (let i = 0; i < count; i++) backend.post(id, i % 3 === 0 ? "alice" : "bob", text(`Message ${i + 1}`), { ageMs: (count - i) * MINUTE_MS, lost: true });
  return id;
}

/** Media with painted pictures where there is a canvas; the first one speaks, the second one is muted. */
class PaintedMedia extends FakeMedia {
  constructor(
    private readonly people: () => readonly string[],
    changed: () => void,
  ) {
    super(changed);
  }

  override start(): void {
    this.remotes = this.people().map((userId, i) => remoteParticipant(userId, { audioMuted: i === 1, video: painted(i) }));
    this.speakers = this.people().slice(0, 1);
    super.start();
  }
}

/** A picture of one colour, as a camera's track. */
function painted(i: number): MediaStreamTrack | undefined {
  const canvas = document.createElement("canvas");
  // jsdom has none.
  if (typeof canvas.captureStream !== "function") return undefined;
  const context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [640, 360];
  const paint = (): void => {
    if (!context) return;
    context.fillStyle = ["#7fa7d8", "#93b8a0", "#c29fc7"][i % 3] ?? "";
    context.fillRect(0, 0, 640, 360);
  };
  setInterval(paint, 100);
  return canvas.captureStream(10).getVideoTracks()[0];
}

/** A client of somebody in this backend, which is not started. */
export function clientOf(backend: MockBackend, userId: string, deviceId = `device-of-${userId}`): ParleyClient {
  const kept = new Map<string, string>();
  const client: ParleyClient = new ParleyClient({
    userId,
    deviceId,
    tokens: () => Promise.resolve({ value: "t", userId, expiresMs: Number.POSITIVE_INFINITY }),
    baseUrl: "",
    api: backend.apiFor(userId),
    put: backend.files.put,
    store: new MemoryDeviceStore(),
    storage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value), removeItem: (key) => void kept.delete(key) },
    people: (ids) => Promise.resolve(Object.fromEntries(ids.flatMap((id) => (NAMES[id] ? [[id, { name: NAMES[id] }]] : [])))),
    media: (_signaling, listener) =>
      new PaintedMedia(() => {
        const { call } = client.calls.view();
        return call?.participants.filter((p) => p.userId !== userId && p.deviceId).map((p) => p.userId) ?? [];
      }, () => listener.onChange()),
  });
  return client;
}

/** What a story shows of a world: a function of ids or whatever its seed returned. */
export interface StageProps<T> {
  readonly seed: (backend: MockBackend) => T;
  /** Runs when Alice's client has everything. */
  readonly act?: (client: ParleyClient, backend: MockBackend, seeded: T) => void;
  readonly children: (seeded: T) => ReactNode;
  readonly labels?: Partial<Labels>;
  readonly locale?: string;
  readonly dir?: "ltr" | "rtl";
}

interface Staged<T> {
  readonly backend: MockBackend;
  readonly client: ParleyClient;
  readonly seeded: T;
}

/** Alice's client in a world of its own, around a story. */
export function Stage<T>({ seed, act, children, labels, locale = "en", dir }: StageProps<T>): ReactElement {
  const [{ backend, client, seeded }] = useState((): Staged<T> => {
    const made = new MockBackend();
    const result = seed(made);
    return { backend: made, client: clientOf(made, "alice"), seeded: result };
  });
  useEffect(() => {
    void client.start();
    let acted = false;
    const end = client.subscribe(() => {
      if (acted || !client.current) return;
      acted = true;
      act?.(client, backend, seeded);
    });
    return () => {
      end();
      client.stop();
    };
    // The world of a story is made once.
  }, []);
  return (
    <div dir={dir} lang={locale} style={{ blockSize: 560, maxInlineSize: 760, display: "flex", flexDirection: "column" }}>
      <ParleyProvider client={client} labels={labels} locale={locale}>
        {children(seeded)}
      </ParleyProvider>
    </div>
  );
}
