import { create } from "@bufbuild/protobuf";
import { DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Attachment,
  CallOutcome,
  ConversationKind,
  LinkPreviewSchema,
  MemberRole,
  type Message,
  ReactionSchema,
  SystemContentSchema,
  TextContentSchema,
} from "@parley/client/gen/parley/messaging/v1/messages_pb";
import { Audience } from "@parley/client/gen/parley/messaging/v1/relations_pb";
import type { MockBackend } from "@parley/client/testing";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const text = (value: string): Message["content"] => ({ case: "text", value: { $typeName: "parley.messaging.v1.TextContent", text: value, entities: [], masked: false } });

const call = (outcome: CallOutcome, seconds: number): Message["content"] => ({
  case: "call",
  value: {
    $typeName: "parley.messaging.v1.CallContent",
    callId: `${outcome}-${seconds}`,
    video: true,
    outcome,
    length: { $typeName: "google.protobuf.Duration", seconds: BigInt(seconds), nanos: 0 },
    participantUserIds: [],
  },
});

/** Some days of talk, so that the page has something to show; `older` are the messages that Bob's conversation begins with, enough to scroll. */
export function seed(backend: MockBackend, older = 60): void {
  seedGroup(backend);
  seedRequest(backend);
  seedBook(backend);
  seedArabic(backend);
  seedBob(backend, backend.openDirect("alice", "bob").conversationId, older);
  const chidi = backend.openDirect("alice", "chidi").conversationId;
  backend.post(chidi, "chidi", text("The slides are in the shared folder. Could you look at page 4 before tomorrow? I am not sure about the second figure."), { ageMs: 26 * 60 * MINUTE_MS });
  backend.post(chidi, "chidi", text("No hurry."), { ageMs: 25 * 60 * MINUTE_MS });
  const dana = backend.openDirect("alice", "dana").conversationId;
  backend.post(dana, "alice", text("Thanks, see you on Friday!"), { ageMs: 4 * DAY_MS });
  backend.openDirect("alice", "eve-with-a-rather-long-user-id");
  const keep = (id: string, state: Parameters<typeof backend.own.set>[2]): void => backend.own.set("alice", id, state);
  const last = (id: string): bigint => backend.stored(id).conversation.lastSeq;
  keep("alice+bob", { readSeq: last("alice+bob"), pinned: true });
  keep(dana, { readSeq: last(dana), muteEndTime: timestampFromMs(Date.now() + DAY_MS), markedUnread: true });
  keep("hike", { readSeq: last("hike") - 1n });
  const bob = backend.stored("alice+bob").conversation.members.find((m) => m.userId === "bob");
  if (bob) Object.assign(bob, { readSeq: last("alice+bob") - 1n, deliveredSeq: last("alice+bob") });
}

/** A request of a stranger. */
function seedRequest(backend: MockBackend): void {
  backend.relations.set("alice", { messageAudience: Audience.FOLLOWED });
  const { conversationId } = backend.openDirect("farid", "alice");
  backend.post(conversationId, "farid", text("Hello Alice, we met at the concert on Friday. Would you share the photos?"), { ageMs: 3 * 60 * MINUTE_MS });
}

/** More than anybody scrolls through; the last one answers one of the first. */
export function seedLong(backend: MockBackend): void {
  const { conversationId } = backend.openDirect("alice", "chidi");
  for (let n = 3; n < 10_000; n++) backend.post(conversationId, n % 3 === 0 ? "alice" : "chidi", text(`Message ${n}${n % 7 === 0 ? ". It is longer than the others, so that not all of them are of one height, which would be too easy.".repeat(3) : ""}`), { ageMs: (10_000 - n) * MINUTE_MS });
  backend.post(conversationId, "chidi", text("That is where it began"), { ageMs: MINUTE_MS, init: { replyToSeq: 20n } });
  backend.own.set("alice", conversationId, { readSeq: 9_990n });
}

/** A conversation in a script that runs from right to left, with a line that does not. */
function seedArabic(backend: MockBackend): void {
  const { conversationId } = backend.openDirect("alice", "layla");
  const say = (who: string, what: string, ageMs: number) => backend.post(conversationId, who, text(what), { ageMs });
  say("layla", "مرحبًا أليس! هل وصلك البرنامج الجديد لحفل الجمعة؟ أظن أن الموعد تغيّر إلى الساعة 7:30 مساءً.", 44 * MINUTE_MS);
  say("alice", "Not yet, could you send it again?", 41 * MINUTE_MS);
  say("layla", "بالتأكيد، سأرسله لك على alice@example.com بعد قليل.", 40 * MINUTE_MS);
  const url = "https://opera.example/friday";
  const preview = create(LinkPreviewSchema, { url, title: "حفل الجمعة: البرنامج الكامل", description: "من السابعة والنصف مساءً، في القاعة الكبرى.", siteName: "دار الأوبرا" });
  const value = create(TextContentSchema, { text: url, entities: [{ offset: 0, length: url.length, entity: { case: "linkUrl", value: url } }], preview });
  backend.post(conversationId, "layla", { case: "text", value }, { ageMs: 38 * MINUTE_MS });
  const last = backend.stored(conversationId).conversation.lastSeq;
  backend.own.set("alice", conversationId, { readSeq: last });
}

/** An archived conversation whose messages vanish. */
function seedBook(backend: MockBackend): void {
  const { conversationId } = backend.openDirect("alice", "gwen");
  const post = (who: string, what: string, ageMs: number) =>
    backend.post(conversationId, who, text(what), { ageMs, init: { expireTime: timestampFromMs(Date.now() + DAY_MS - ageMs) } });
  backend.change(backend.stored(conversationId), { vanishAfter: create(DurationSchema, { seconds: 86_400n }) });
  const value = create(SystemContentSchema, { event: { case: "vanishingChanged", value: { vanishAfter: { seconds: 86_400n } } } });
  backend.post(conversationId, "alice", { case: "system", value }, { ageMs: 5 * 60 * MINUTE_MS });
  post("gwen", "The door code is 4711.", 4 * 60 * MINUTE_MS);
  post("alice", "Got it, thank you.", 200 * MINUTE_MS);
  backend.own.set("alice", conversationId, { archived: true, readSeq: 3n });
}

/** Pictures and a file, once there is a page to paint them. */
export async function seedFiles(backend: MockBackend, paint: (width: number, height: number) => Promise<Blob>): Promise<void> {
  const wide = backend.files.add({ fileName: "stage.png", contentType: "image/png", width: 1200, height: 800 }, await paint(1200, 800));
  const tall = backend.files.add({ fileName: "foyer.png", contentType: "image/png", width: 800, height: 1100 }, await paint(800, 1100));
  const programme = backend.files.add({ fileName: "programme-friday-evening.pdf", contentType: "application/pdf" }, new Blob(["x".repeat(348_000)]));
  const post = (who: string, what: string, attachments: Attachment[], ageMs: number) => backend.post("alice+bob", who, text(what), { ageMs, init: { attachments } });
  post("bob", "A picture from our seats", [wide], 6 * MINUTE_MS);
  post("alice", "", [programme], 5 * MINUTE_MS);
  post("bob", "", [tall, wide], 4 * MINUTE_MS);
}

function seedBob(backend: MockBackend, id: string, older: number): void {
  const say = (who: string, what: string, ageMs: number) => backend.post(id, who, text(what), { ageMs });
  for (let i = 0; i < older; i++) say(i % 3 === 0 ? "alice" : "bob", `An older message, number ${i + 1}`, 3 * DAY_MS - i * MINUTE_MS);
  say("bob", "Did you get the tickets?", DAY_MS + 95 * MINUTE_MS);
  say("alice", "Yes! Row 12, two seats by the aisle.", DAY_MS + 93 * MINUTE_MS);
  say("alice", "Doors open at seven, so let's meet at half past six by the station and walk from there. It is about ten minutes.", DAY_MS + 92 * MINUTE_MS);
  say("bob", "Perfect", DAY_MS + 80 * MINUTE_MS);
  backend.post(id, "bob", call(CallOutcome.MISSED, 0), { ageMs: DAY_MS + 20 * MINUTE_MS });
  backend.post(id, "alice", call(CallOutcome.COMPLETED, 83), { ageMs: DAY_MS + 4 * MINUTE_MS });
  say("bob", "That was a great evening 🎻", 50 * MINUTE_MS);
  say("bob", "The second half especially.\nDo you know what the encore was?", 49 * MINUTE_MS);
  say("alice", "Something by Pärt, I think. Let me look it up", 31 * MINUTE_MS);
  say("alice", "Found it: Spiegel im Spiegel", 12 * MINUTE_MS);
}

/** Alice's group, with an answer, reactions, an edit and an unsent message. */
function seedGroup(backend: MockBackend): void {
  const members = ["alice", "bob", "chidi"].map((userId, i) => ({ userId, role: i === 0 ? MemberRole.OWNER : MemberRole.MEMBER }));
  const { conversationId: id } = backend.createConversation({ conversationId: "hike", kind: ConversationKind.GROUP, title: "Sunday hike", avatarRef: "symbol:mountain", members }).conversation;
  const say = (who: string, what: string, ageMs: number) => Number(backend.post(id, who, text(what), { ageMs }).seq);
  const plan = say("chidi", "Shall we take the ridge or the valley? The ridge is longer, but the view is worth it.", 9 * MINUTE_MS);
  const edited = say("bob", "The ridge!", 8 * MINUTE_MS);
  const slip = say("bob", "Wrong group", 7 * MINUTE_MS);
  const answer = say("alice", "Ridge for me too. I bring tea", 5 * MINUTE_MS);
  const react = (seq: number, emoji: string, userIds: string[]) => backend.changeMessage(id, seq, { reactions: [create(ReactionSchema, { emoji, userIds })] });
  react(plan, "👍", ["alice", "bob"]);
  react(answer, "❤️", ["chidi"]);
  const former = backend.stored(id).messages[edited - 1];
  if (former) backend.edits.record({ ...former, content: text("The valley") });
  backend.changeMessage(id, edited, { editCount: 1 });
  backend.changeMessage(id, slip, { content: { case: "unsent", value: { $typeName: "parley.messaging.v1.Unsent" } } });
  backend.changeMessage(id, answer, { replyToSeq: BigInt(plan) });
}
