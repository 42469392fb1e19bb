import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createApi } from "../src/testing/api.js";
import { reason } from "../src/testing/details.js";
import { conversation } from "../src/testing/samples.js";
import { ConversationStore } from "../src/core/conversation-store.js";
import { MessagingService, type WithdrawHeldMessageRequest } from "../src/gen/parley/messaging/v1/service_pb.js";
import { Outbox } from "../src/outbox.js";

const ROOM = "alice+bob";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An outbox whose requests the test answers, in turn. */
function outbox() {
  const requests: { fail: () => void; answer: () => void }[] = [];
  const sendMessage = () =>
    new Promise<object>((resolve, reject) =>
      requests.push({ fail: () => reject(new ConnectError("cut off", Code.Unavailable)), answer: () => resolve({}) }),
    );
  const api = createApi(createRouterTransport(({ service }) => service(MessagingService, { sendMessage })));
  const failed: string[] = [];
  const store = new ConversationStore("alice");
  const made = new Outbox(api, store, () => undefined, { onSent: () => undefined, onFailed: (_, { line }) => failed.push(line) });
  /** The request of that number, once it is made. */
  const request = async (number: number) => {
    await vi.waitFor(() => expect(requests).toHaveLength(number), { timeout: 30_000 });
    return requests[number - 1]!;
  };
  return { made, requests, request, failed };
}

/** An outbox with one message that the service holds for a review; `answers` is what it says when it is taken back. */
async function held(...answers: ConnectError[]) {
  const asked: unknown[] = [];
  const sendMessage = () => Promise.reject(reason(new ConnectError("wait", Code.FailedPrecondition), "MESSAGE_HELD"));
  const withdrawHeldMessage = ({ conversationId, held: { value } }: WithdrawHeldMessageRequest) => {
    asked.push([conversationId, value]);
    const refusal = answers.shift();
    return refusal ? Promise.reject(refusal) : Promise.resolve({});
  };
  const api = createApi(createRouterTransport(({ service }) => service(MessagingService, { sendMessage, withdrawHeldMessage })));
  const store = new ConversationStore("alice");
  store.applyConversation(conversation({ id: ROOM }));
  const made = new Outbox(api, store, () => undefined, { onSent: () => undefined, onFailed: () => undefined });
  made.send(ROOM, { text: "buy this" });
  await vi.waitFor(() => expect(store.outgoing()).toMatchObject([{ state: "failed", held: true }]), { timeout: 30_000 });
  return { made, store, asked, id: store.outgoing()[0]!.clientMessageId };
}

async function failTwice({ made, request }: ReturnType<typeof outbox>): Promise<void> {
  made.send(ROOM, { text: "hello" });
  for (const number of [1, 2]) (await request(number)).fail();
}

test("a try that began before the connection came back does not end a message", async () => {
  const world = outbox();
  await failTwice(world);
  const last = await world.request(3);
  world.made.retryFailed();
  last.fail();
  (await world.request(4)).answer();
  expect(world.failed).toEqual([]);
});

test("what fails on a connection that stands is shown as failed after a few tries", async () => {
  const world = outbox();
  await failTwice(world);
  (await world.request(3)).fail();
  await vi.waitFor(() => expect(world.failed).toHaveLength(1), { timeout: 30_000 });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(world.requests).toHaveLength(3);
});

test("what waits for a review is deleted there first, and stays while that fails", async () => {
  const { made, store, asked, id } = await held(new ConnectError("away", Code.Unavailable));
  await made.discard(ROOM, id);
  expect(store.outgoing()).toMatchObject([{ held: true, problem: { code: "unavailable" } }]);
  await made.discard(ROOM, id);
  expect(store.outgoing()).toEqual([]);
  expect(asked).toEqual([
    [ROOM, id],
    [ROOM, id],
  ]);
});

test("what is being reviewed no more is deleted here, and what was let through comes", async () => {
  const gone = await held(reason(new ConnectError("no", Code.NotFound), "HELD_NOT_FOUND"));
  await gone.made.discard(ROOM, gone.id);
  expect(gone.store.outgoing()).toEqual([]);
  const released = await held(reason(new ConnectError("no", Code.FailedPrecondition), "HELD_DECIDED"));
  await released.made.discard(ROOM, released.id);
  expect(released.store.outgoing()).toMatchObject([{ problem: { reason: "HELD_DECIDED" } }]);
});
