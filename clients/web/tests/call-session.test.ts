import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Api } from "../src/api.js";
import type { CallDevice } from "../src/core/call-keys.js";
import type { Call } from "../src/core/model.js";
import { MemoryDeviceStore } from "../src/device-store.js";
import { AccountMemory } from "../src/encryption/account-memory.js";
import { CallSession } from "../src/encryption/call-session.js";
import { type FrameKeys, IncomingFrames, OutgoingFrames } from "../src/encryption/frame-keys.js";
import { OwnDevice } from "../src/encryption/own-device.js";
import { MockBackend } from "../src/testing/backend.js";

const CALL = "call-1";
const FRAME = Uint8Array.from([0x11, ...new Uint8Array(20).fill(0xcd)]);
const OPUS = "audio/opus";

let backend: MockBackend;
let sessions: CallSession[];

beforeEach(() => {
  backend = new MockBackend();
  sessions = [];
});
afterEach(() => sessions.forEach((session) => session.close()));

const until = (condition: () => unknown): Promise<void> =>
  vi.waitFor(() => {
    if (!condition()) throw new Error("not yet");
  }, { timeout: 30_000, interval: 5 });

interface Device {
  readonly self: CallDevice;
  readonly api: Api;
  readonly own: OwnDevice;
  readonly memory: AccountMemory;
}

async function device(userId: string, deviceId: string, store = new MemoryDeviceStore()): Promise<Device> {
  const self = { userId, deviceId };
  const api = backend.apiFor(userId);
  const memory = new AccountMemory(store, userId);
  const own = new OwnDevice(api, self, memory, () => Date.now());
  await own.refresh();
  return { self, api, own, memory };
}

/** A device in the call, with the keys that its connections were last told of. */
function joined({ api, own, memory }: Device, callId = CALL) {
  let keys: FrameKeys | undefined;
  const cryptor = { update: (told: FrameKeys) => void (keys = told), attach: () => undefined, release: () => undefined };
  const session = new CallSession(api, callId, own, memory, () => undefined, () => Date.now(), () => cryptor, [1, 1]);
  sessions.push(session);
  session.cryptor();
  const outgoing = new OutgoingFrames(0);
  const incoming = new IncomingFrames();
  return {
    session,
    keys: () => keys as FrameKeys,
    say: () => outgoing.step(FRAME, OPUS, keys as FrameKeys),
    hear: async (frame: Uint8Array<ArrayBuffer> | undefined) => frame && incoming.step(frame, keys as FrameKeys),
  };
}

type Joined = ReturnType<typeof joined>;

/** The call with these devices in it, told to those that listen, and events of keys brought to all. */
function call(...devices: CallDevice[]): Call {
  const participants = devices.map(({ userId, deviceId }) => ({ userId, deviceId, state: "joined" as const }));
  return { id: CALL, participants } as unknown as Call;
}

const meet = (all: readonly Joined[], ...devices: CallDevice[]): void => all.forEach(({ session }) => session.update(call(...devices)));
/** What the event stream would bring. */
const bring = (all: readonly Joined[]): void => all.forEach(({ session }) => session.catchUp());
/** Soon, once what the event stream brings is there. */
const hearsSoon = (from: Joined, to: Joined): Promise<void> =>
  vi.waitFor(async () => {
    bring([to]);
    if (!(await hears(from, to))) throw new Error("not yet");
  }, { timeout: 30_000, interval: 20 });
const hears = async (from: Joined, to: Joined): Promise<boolean> => (await to.hear(await from.say())) !== undefined;

describe("devices in a call", () => {
  test("hear each other, and nobody outside does", async () => {
    const [alice, bob, eve] = [await device("alice", "a1"), await device("bob", "b1"), await device("eve", "e1")];
    const [a, b, e] = [joined(alice), joined(bob), joined(eve)];
    expect(await a.say()).toBeUndefined();
    meet([a, b], alice.self, bob.self);
    await until(() => a.keys().own && b.keys().own);
    await hearsSoon(a, b);
    await hearsSoon(b, a);
    bring([e]);
    expect(await hears(a, e)).toBe(false);
    expect((await a.say())?.subarray(0, 1)).toEqual(FRAME.subarray(0, 1));
    expect(await b.hear(await a.say())).toEqual(FRAME);
  });

  test("who comes does not hear what was sent before, and who went hears nothing after", async () => {
    const [alice, bob, carol] = [await device("alice", "a1"), await device("bob", "b1"), await device("carol", "c1")];
    const [a, b, c] = [joined(alice), joined(bob), joined(carol)];
    meet([a, b], alice.self, bob.self);
    await until(() => a.keys().own);
    const before = await a.say();
    meet([a, b, c], alice.self, bob.self, carol.self);
    const first = a.keys().own?.epoch;
    await until(() => a.keys().own?.epoch !== first);
    await hearsSoon(a, b);
    await hearsSoon(a, c);
    expect(await c.hear(before)).toBeUndefined();
    const second = a.keys().own?.epoch;
    meet([a, b], alice.self, bob.self);
    await until(() => a.keys().own?.epoch !== second);
    await hearsSoon(a, b);
    bring([c]);
    expect(await hears(a, c)).toBe(false);
  });

  test("a device without keys is named, hears nothing, and is sent to in the clear only when that was allowed", async () => {
    const alice = await device("alice", "a1");
    const a = joined(alice);
    const old = { userId: "old", deviceId: "o1" };
    meet([a], alice.self, old);
    await until(() => a.session.blocked);
    expect([a.session.unable, await a.say()]).toEqual([["old"], undefined]);
    a.session.allowClear();
    expect(await a.say()).toEqual(FRAME);
    meet([a], alice.self);
    expect(await a.say()).toBeUndefined();
  });

  test("one that is confirmed during the call is heard from then on, and what was allowed for it ends", async () => {
    const [alice, phone] = [await device("alice", "a1"), await device("bob", "b1")];
    const laptop = await device("bob", "b2");
    const [a, b] = [joined(alice), joined(laptop)];
    meet([a, b], alice.self, laptop.self);
    await until(() => a.session.blocked && b.session.blockedBySelf);
    a.session.allowClear();
    b.session.allowClear();
    expect([await a.say(), await b.say()]).toEqual([FRAME, FRAME]);
    await phone.own.refresh();
    await phone.own.confirm("b2");
    await laptop.own.refresh();
    b.session.noteStanding();
    expect(await b.say()).toBeUndefined();
    await hearsSoon(b, a);
    await hearsSoon(a, b);
    expect([a.session.unable, a.session.blocked, b.session.blockedBySelf, a.keys().acceptsClear]).toEqual([[], false, false, false]);
  });

  test("one that hands over keys and is not confirmed is looked up for each of them, and stays without", async () => {
    const [alice, phone] = [await device("alice", "a1"), await device("bob", "b1")];
    const laptop = await device("bob", "b2");
    const a = joined(alice);
    meet([a], alice.self, laptop.self);
    await until(() => a.session.blocked);
    let lookups = 0;
    const look = alice.api.keys.listDeviceKeys.bind(alice.api.keys);
    alice.api.keys.listDeviceKeys = (request, options) => look(request, (lookups++, options));
    for (const epoch of [1, 2, 3]) {
      const keys = [{ ...alice.self, sealedKey: new Uint8Array(161) }];
      await laptop.api.keys.sendCallKeys({ callId: CALL, deviceId: "b2", epoch, keys });
      // One that is under way counts for what comes meanwhile.
      await until(() => {
        bring([a]);
        return lookups >= epoch;
      });
    }
    expect([a.session.unable, await a.say()]).toEqual([["bob"], undefined]);
    await phone.own.refresh();
  });

  test("what is handed over twice is the same key, also where the answer was lost", async () => {
    const [alice, bob] = [await device("alice", "a1"), await device("bob", "b1")];
    const sent: Uint8Array[] = [];
    const send = alice.api.keys.sendCallKeys.bind(alice.api.keys);
    alice.api.keys.sendCallKeys = async (request, options) => {
      const answer = await send(request, options);
      sent.push(request.keys?.[0]?.sealedKey as Uint8Array);
      if (sent.length === 1) throw new Error("lost");
      return answer;
    };
    const a = joined(alice);
    meet([a], alice.self, bob.self);
    await until(() => a.keys().own);
    expect(sent).toHaveLength(2);
    expect(sent[0]).toEqual(sent[1]);
  });
});

describe("the devices of an account", () => {
  test("the first makes the account's key, the second waits until the first confirms it", async () => {
    const phone = await device("alice", "a1");
    const laptop = await device("alice", "a2");
    expect([phone.own.standing, laptop.own.standing]).toEqual(["confirmed", "waiting"]);
    await phone.own.refresh();
    expect(phone.own.waiting).toEqual(["a2"]);
    await phone.own.confirm("a2");
    await laptop.own.refresh();
    expect(laptop.own.standing).toBe("confirmed");
    expect(backend.keys.of("alice")?.version).toBe(1);
    // And that one confirms the next.
    await device("alice", "a3");
    await laptop.own.refresh();
    await laptop.own.confirm("a3");
    await phone.own.refresh();
    expect(phone.own.waiting).toEqual([]);
  });

  test("keep their keys over a reload, and publish nothing again", async () => {
    const store = new MemoryDeviceStore();
    await device("alice", "a1", store);
    const published = backend.requests["publishDeviceKeys"];
    expect((await device("alice", "a1", store)).own.standing).toBe("confirmed");
    expect(backend.requests["publishDeviceKeys"]).toBe(published);
  });

  test("start anew where nobody is left to confirm them, and others see the change", async () => {
    const bob = await device("bob", "b1");
    const phone = await device("alice", "a1");
    const seen = async () => {
      const { accounts } = await bob.api.keys.listDeviceKeys({ userIds: ["alice"], shared: { case: "callId", value: CALL } });
      for (const account of accounts) await bob.memory.check(account, 1);
    };
    await seen();
    await phone.api.keys.removeDeviceKeys({ deviceId: "a1" });
    const laptop = await device("alice", "a2");
    expect([laptop.own.standing, backend.keys.of("alice")?.version]).toEqual(["confirmed", 2]);
    await seen();
    expect(bob.memory.news.map(({ userId, kind }) => [userId, kind])).toEqual([["alice", "account_key_changed"]]);
    // Of its own account it makes no news for conversations.
    expect(laptop.memory.news).toEqual([]);
  });

  test("one that was not confirmed gets no key", async () => {
    const [alice, first] = [await device("alice", "a1"), await device("bob", "b1")];
    const second = await device("bob", "b2");
    expect(second.own.standing).toBe("waiting");
    const a = joined(alice);
    meet([a], alice.self, second.self);
    await until(() => a.session.blocked);
    expect(backend.requests["sendCallKeys"]).toBeUndefined();
    await first.own.refresh();
  });
});
