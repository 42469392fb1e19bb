import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { NewSticker } from "../src/core/model.js";
import { FailureError, failureFor } from "../src/errors.js";
import { type Limits, UNKNOWN_LIMITS } from "../src/core/limits.js";
import { StickerPicking } from "../src/sticker-picking.js";

const HOST = "stickers.example";

function sticker(name: string, host = HOST): NewSticker {
  return { url: `https://${host}/${name}.gif`, width: 100, height: 50, description: name };
}

/** A client that answers nothing by itself, and a provider that waits to be told what it found. */
class World {
  limits: Limits = { ...UNKNOWN_LIMITS, stickerHosts: [HOST] };
  readonly sent: unknown[][] = [];
  readonly asked: { words: string; signal: AbortSignal; answer: (found: readonly NewSticker[]) => void; fail: () => void }[] = [];
  refuses = false;
  private listener = (): void => undefined;
  readonly messaging = {
    sendSticker: async (...request: unknown[]): Promise<void> => {
      this.sent.push(request);
      await Promise.resolve();
      if (this.refuses) throw new FailureError(failureFor("NETWORK", 0));
    },
  };
  readonly picking = new StickerPicking(
    this as unknown as ConstructorParameters<typeof StickerPicking>[0],
    { search: (words, signal) => new Promise((answer, reject) => this.asked.push({ words, signal, answer, fail: () => reject(new Error("gone")) })) },
    "conversation",
    7,
  );

  subscribe(listener: () => void): () => void {
    this.listener = listener;
    return () => (this.listener = (): void => undefined);
  }

  allow(...stickerHosts: string[]): void {
    this.limits = { ...this.limits, stickerHosts };
    this.listener();
  }

  /** What is shown once the provider has answered its last question. */
  async answers(...found: NewSticker[]): Promise<string[]> {
    this.asked.at(-1)!.answer(found);
    await vi.advanceTimersByTimeAsync(0);
    return this.shown();
  }

  shown(): string[] {
    return this.picking.current.found.map(({ description }) => description);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("nothing is asked before it is open, and nothing is shown after it is closed", async () => {
  const world = new World();
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.asked).toEqual([]);
  const close = world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  expect(world.asked.map(({ words }) => words)).toEqual([""]);
  close();
  expect(world.asked[0]!.signal.aborted).toBe(true);
  expect(await world.answers(sticker("cat"))).toEqual([]);
});

test("it can be opened again, as React does in strict mode", async () => {
  const world = new World();
  world.picking.open()();
  world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  expect(await world.answers(sticker("cat"))).toEqual(["cat"]);
});

test("words are looked for once no others come, and what was found before stays until then", async () => {
  const world = new World();
  world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  await world.answers(sticker("cat"));
  for (const typed of ["d", "do", "dog "]) world.picking.find(typed);
  expect([world.shown(), world.picking.current.search]).toEqual([["cat"], "running"]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(world.asked.map(({ words }) => words)).toEqual(["", "dog"]);
  expect(await world.answers(sticker("dog"))).toEqual(["dog"]);
  world.picking.find("dog");
  expect(world.picking.current.search).toBe("done");
});

test("a late answer to other words is not shown", async () => {
  const world = new World();
  world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  world.picking.find("dog");
  await vi.advanceTimersByTimeAsync(1000);
  world.asked[0]!.answer([sticker("cat")]);
  expect(await world.answers(sticker("dog"))).toEqual(["dog"]);
});

test("a provider that fails can be asked again", async () => {
  const world = new World();
  world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  world.asked[0]!.fail();
  await vi.advanceTimersByTimeAsync(0);
  expect(world.picking.current).toMatchObject({ found: [], search: "failed" });
  world.picking.again();
  await vi.advanceTimersByTimeAsync(0);
  expect(await world.answers(sticker("cat"))).toEqual(["cat"]);
});

test("only what may be sent is shown, also where the service tells its hosts late", async () => {
  const world = new World();
  world.allow();
  world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  expect(await world.answers(sticker("cat"), sticker("evil", "evil.example"))).toEqual([]);
  world.allow(HOST);
  expect(world.shown()).toEqual(["cat"]);
});

test("one is sent at a time, and a second attempt under the same id", async () => {
  const world = new World();
  world.refuses = true;
  const [first, second] = [world.picking.send(sticker("cat")), world.picking.send(sticker("cat"))];
  expect(world.picking.current.sending).toBe(true);
  expect([await first, await second, world.sent.length]).toEqual([false, false, 1]);
  expect(world.picking.current).toMatchObject({ sending: false, failure: { reason: "NETWORK" } });
  world.refuses = false;
  expect(await world.picking.send(sticker("cat"))).toBe(true);
  expect(await world.picking.send(sticker("dog"))).toBe(true);
  const ids = world.sent.map(([, , id]) => id);
  expect([ids[0] === ids[1], ids[1] === ids[2]]).toEqual([true, false]);
  expect(world.sent[0]!.slice(0, 2)).toEqual(["conversation", { ...sticker("cat"), replyToSeq: 7 }]);
});

test("who subscribed is told of each change", async () => {
  const world = new World();
  const seen: unknown[] = [];
  const end = world.picking.subscribe(() => seen.push(world.picking.current.search));
  world.picking.open();
  await vi.advanceTimersByTimeAsync(0);
  await world.answers();
  expect(seen).toEqual(["running", "done"]);
  end();
  world.picking.again();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen).toHaveLength(2);
});
