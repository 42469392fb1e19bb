import { describe, expect, test } from "vitest";
import { type CallDevice, CallKeys } from "../src/core/call-keys.js";
import { joinKeyId, shortEpoch, splitKeyId } from "../src/core/sframe-key-id.js";

const device = (userId: string, deviceId = "d1"): CallDevice => ({ userId, deviceId });
const [bob, carol, old] = [device("bob"), device("carol"), device("old")];

/** With these in the call, all looked up, and the key for them in use. */
function running(...able: CallDevice[]): CallKeys {
  const keys = new CallKeys(true);
  keys.present(able, 100);
  for (const each of able) for (const effect of keys.known(each, true, 100)) if (effect.kind === "share") keys.shared(effect.epoch, 100);
  for (let epoch = 100; epoch < 110; epoch++) keys.shared(epoch, 100);
  return keys;
}

describe("the keys of a call", () => {
  test("nothing is sent before somebody has the key", () => {
    const keys = new CallKeys(true);
    expect(keys.sending).toBe("nothing");
    expect(keys.present([bob], 100)).toEqual([{ kind: "look_up", devices: [bob] }]);
    expect(keys.sending).toBe("nothing");
    expect(keys.known(bob, true, 100)).toEqual([{ kind: "share", epoch: 100, recipients: [bob] }]);
    expect(keys.sending).toBe("nothing");
    expect(keys.shared(100, 101)).toEqual([{ kind: "use", epoch: 100, first: true }]);
    expect(keys.sending).toBe("encrypted");
  });

  test("whoever comes gets a new key, and the old one stays in use until then", () => {
    const keys = running(bob);
    expect(keys.present([bob, carol], 200)).toEqual([{ kind: "look_up", devices: [carol] }]);
    expect(keys.known(carol, true, 200)).toEqual([{ kind: "share", epoch: 200, recipients: [bob, carol] }]);
    expect(keys.sending).toBe("encrypted");
    expect(keys.shared(200, 200)).toEqual([{ kind: "use", epoch: 200, first: false }]);
  });

  test("whoever goes does not get the next key", () => {
    expect(running(bob, carol).present([bob], 200)).toEqual([{ kind: "share", epoch: 200, recipients: [bob] }]);
  });

  test("another device of the same person is another one", () => {
    const tablet = device("bob", "d2");
    const keys = running(bob);
    expect(keys.present([tablet], 200)).toEqual([{ kind: "look_up", devices: [tablet] }]);
    expect(keys.known(tablet, true, 200)).toEqual([{ kind: "share", epoch: 200, recipients: [tablet] }]);
  });

  test("who comes and goes while a key is handed over is left to the next one", () => {
    const keys = running(bob);
    keys.present([bob, carol], 200);
    keys.known(carol, true, 200);
    expect(keys.present([bob], 200)).toEqual([]);
    expect(keys.shared(200, 200)).toEqual([
      { kind: "use", epoch: 200, first: false },
      { kind: "share", epoch: 201, recipients: [bob] },
    ]);
  });

  test("nothing changes for a copy of the call with the same devices, for one that left, or for a late answer", () => {
    const keys = running(bob);
    expect(keys.present([bob], 300)).toEqual([]);
    expect(keys.known(carol, true, 300)).toEqual([]);
    expect(keys.shared(42, 300)).toEqual([]);
  });

  test("epochs rise, also where the clock does not, and over a reload", () => {
    const keys = running(bob);
    expect(keys.present([], 50)).toEqual([]);
    keys.present([carol], 50);
    expect(keys.known(carol, true, 50)).toEqual([{ kind: "share", epoch: 101, recipients: [carol] }]);
  });
});

describe("a device that cannot encrypt", () => {
  test("hears nothing, and the others go on encrypted, until the user allows it", () => {
    const keys = running(bob);
    keys.present([bob, old], 200);
    // Not before it is known.
    keys.allowClear();
    expect([keys.sending, keys.acceptsClear]).toEqual(["encrypted", false]);
    expect(keys.known(old, false, 200)).toEqual([]);
    expect([keys.sending, keys.acceptsClear, keys.unable]).toEqual(["encrypted", true, [old]]);
    keys.allowClear();
    expect(keys.sending).toBe("clear");
  });

  test("what was allowed for one is not allowed for the next", () => {
    const keys = running(bob);
    keys.present([bob, old], 200);
    keys.known(old, false, 200);
    keys.allowClear();
    keys.present([bob], 300);
    expect([keys.sending, keys.acceptsClear]).toEqual(["encrypted", false]);
    keys.present([bob, old], 400);
    keys.known(old, false, 400);
    expect(keys.sending).toBe("encrypted");
  });

  test("alone with one, nothing is sent", () => {
    const keys = new CallKeys(true);
    keys.present([old], 1);
    keys.known(old, false, 1);
    expect([keys.sending, keys.acceptsClear]).toEqual(["nothing", true]);
  });

  test("this one shares no key, and sends nothing unless it is allowed", () => {
    const keys = new CallKeys(false);
    keys.present([bob], 1);
    expect(keys.known(bob, true, 1)).toEqual([]);
    expect([keys.sending, keys.unable]).toEqual(["nothing", []]);
    keys.allowClear();
    expect(keys.sending).toBe("clear");
    // Confirmed by now: what was allowed is over.
    expect(keys.setSelfAble(true, 2)).toEqual([{ kind: "share", epoch: 2, recipients: [bob] }]);
    expect([keys.sending, keys.acceptsClear]).toEqual(["nothing", false]);
  });
});

describe("key ids", () => {
  test("say whose key it is, of which epoch and for which stream", () => {
    const id = { tag: 0xabcdef, epoch: 0x123456, stream: 0xffff };
    expect(joinKeyId(id)).toBe(0xabcdef123456ffffn);
    expect(splitKeyId(joinKeyId(id))).toEqual(id);
    expect(splitKeyId(joinKeyId({ ...id, epoch: 0x99123456 })).epoch).toBe(shortEpoch(0x99123456));
  });
});
