import { create } from "@bufbuild/protobuf";
import { CallOutcome, ConversationKind, MemberRole, type Message, ReactionSchema } from "../src/gen/parley/messaging/v1/messages_pb";
import type { MockBackend } from "./backend";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const text = (value: string): Message["content"] => ({ case: "text", value: { $typeName: "parley.messaging.v1.TextContent", text: value, entities: [] } });

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

/** Some days of talk, so that the page has something to show. */
export function seed(backend: MockBackend): void {
  seedGroup(backend);
  seedBob(backend, backend.open("alice", "bob").conversationId);
  const chidi = backend.open("alice", "chidi").conversationId;
  backend.post(chidi, "chidi", text("The slides are in the shared folder. Could you look at page 4 before tomorrow? I am not sure about the second figure."), { ageMs: 26 * 60 * MINUTE_MS });
  backend.post(chidi, "chidi", text("No hurry."), { ageMs: 25 * 60 * MINUTE_MS });
  const dana = backend.open("alice", "dana").conversationId;
  backend.post(dana, "alice", text("Thanks, see you on Friday!"), { ageMs: 4 * DAY_MS });
  backend.open("alice", "eve-with-a-rather-long-user-id");
}

function seedBob(backend: MockBackend, id: string): void {
  const say = (who: string, what: string, ageMs: number) => backend.post(id, who, text(what), { ageMs });
  for (let i = 0; i < 60; i++) say(i % 3 === 0 ? "alice" : "bob", `An older message, number ${i + 1}`, 3 * DAY_MS - i * MINUTE_MS);
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
  const { conversationId: id } = backend.found({ conversationId: "hike", kind: ConversationKind.GROUP, title: "Sunday hike", members }).conversation;
  const say = (who: string, what: string, ageMs: number) => Number(backend.post(id, who, text(what), { ageMs }).seq);
  const plan = say("chidi", "Shall we take the ridge or the valley? The ridge is longer, but the view is worth it.", 9 * MINUTE_MS);
  const edited = say("bob", "The ridge!", 8 * MINUTE_MS);
  const slip = say("bob", "Wrong group", 7 * MINUTE_MS);
  const answer = say("alice", "Ridge for me too. I bring tea", 5 * MINUTE_MS);
  const react = (seq: number, emoji: string, userIds: string[]) => backend.changeMessage(id, seq, { reactions: [create(ReactionSchema, { emoji, userIds })] });
  react(plan, "👍", ["alice", "bob"]);
  react(answer, "❤️", ["chidi"]);
  backend.changeMessage(id, edited, { editCount: 1 });
  backend.changeMessage(id, slip, { content: { case: "unsent", value: { $typeName: "parley.messaging.v1.Unsent" } } });
  backend.changeMessage(id, answer, { replyToSeq: BigInt(plan) });
}
