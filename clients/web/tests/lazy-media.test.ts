import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LazyMedia, loadMedia, type MediaLoader } from "../src/lazy-media.js";
import { MediaConnection, type Grant, type OutgoingMedia } from "../src/media-connection.js";
import { RecordingMedia } from "./support.js";

const GRANT: Grant = { joinToken: "j", audioSlots: 1, videoSlots: 1 };
const SENDING: OutgoingMedia = { microphone: undefined, camera: undefined, screen: undefined, screenSound: undefined, muted: true };
const signaling = { renew: () => Promise.resolve(GRANT), join: () => Promise.resolve("") };

class NotedMedia extends RecordingMedia {
  readonly begun: Grant[] = [];
  override start(grant?: Grant): void {
    if (grant) this.begun.push(grant);
    super.start();
  }
}

let made: NotedMedia[];
let changes: number;
/** What loading does, in turn; the last stays. */
let loads: (() => Promise<void>)[];

beforeEach(() => {
  vi.useFakeTimers();
  [made, changes, loads] = [[], 0, [() => Promise.resolve()]];
});
afterEach(() => void vi.useRealTimers());

const load: MediaLoader = async () => {
  await (loads.length > 1 ? loads.shift() : loads[0])?.();
  return (_signaling, listener) => {
    const media = new NotedMedia(() => listener.onChange());
    made.push(media);
    return media;
  };
};

const lazy = (): LazyMedia => new LazyMedia(load, signaling, { onChange: () => void changes++, onRefused: () => undefined });

test("what it is told while the code is loaded is done then, in order", async () => {
  const media = lazy();
  media.send(SENDING);
  media.requestVideo([{ userId: "bob", screen: false, maxHeight: 180, pinned: false }], true);
  expect(media.phase).toBe("idle");
  media.start(GRANT);
  expect([media.phase, media.remotes, media.encryption]).toEqual(["joining", [], "off"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(made[0]).toMatchObject({ sent: [SENDING], begun: [GRANT], videoRequests: [[{ userId: "bob", screen: false, maxHeight: 180, pinned: false }]], hidden: [true] });
  expect(media.phase).toBe("connected");
  expect(changes).toBeGreaterThan(0);
});

test("what comes later goes straight to it", async () => {
  const media = lazy();
  await vi.advanceTimersByTimeAsync(0);
  media.start(GRANT);
  media.send(SENDING);
  media.move();
  expect(made[0]).toMatchObject({ begun: [GRANT], sent: [SENDING], moves: 1 });
  media.close();
  expect(media.phase).toBe("closed");
});

test("code that cannot be loaded is tried again while the call lasts, at once when the network is back", async () => {
  loads = [() => Promise.reject(new TypeError("offline")), () => Promise.reject(new TypeError("offline")), () => Promise.resolve()];
  const media = lazy();
  media.start(GRANT);
  await vi.advanceTimersByTimeAsync(0);
  expect(made).toHaveLength(0);
  media.retryNow();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(made).toHaveLength(1);
  expect(made[0]?.begun).toEqual([GRANT]);
});

test("a call that is over by then gets no media", async () => {
  const media = lazy();
  media.start(GRANT);
  media.close();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(made).toHaveLength(0);
  expect(media.phase).toBe("closed");
});

test("what is loaded is the connection over WebRTC", async () => {
  vi.useRealTimers();
  const create = await loadMedia();
  const media = create(signaling, { onChange: () => undefined, onRefused: () => undefined });
  expect(media).toBeInstanceOf(MediaConnection);
});
