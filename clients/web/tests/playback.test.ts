// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { playOn, playTrack } from "../src/playback.js";
import { FakeTrack, until } from "./support.js";

const TRACK = new FakeTrack("audio", "mic") as unknown as MediaStreamTrack;

beforeEach(() => void vi.stubGlobal("MediaStream", class { constructor(readonly tracks: readonly unknown[]) {} }));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** What plays when it may; `allowed` is asked each time. */
function player(allowed: () => boolean): HTMLMediaElement & { paused: boolean; tries: number } {
  const element = {
    paused: true,
    tries: 0,
    srcObject: null as unknown,
    play() {
      element.tries++;
      if (!allowed()) return Promise.reject(new DOMException("a click first", "NotAllowedError"));
      element.paused = false;
      return Promise.resolve();
    },
  };
  return element as unknown as HTMLMediaElement & { paused: boolean; tries: number };
}

test("what the browser refuses to play before a touch is played at the first one, and not again after the end", () => {
  let touched = false;
  const element = player(() => touched);
  const end = playTrack(element, TRACK);
  expect([element.paused, element.tries]).toEqual([true, 1]);
  touched = true;
  document.dispatchEvent(new Event("pointerdown"));
  expect([element.paused, element.tries]).toEqual([false, 2]);
  document.dispatchEvent(new Event("keydown"));
  expect(element.tries).toBe(2);
  end();
  expect(element.srcObject).toBeNull();
  element.paused = true;
  document.dispatchEvent(new Event("pointerdown"));
  expect(element.tries).toBe(2);
});

test("what a telephone call stopped is played when the page is seen again, and not before", () => {
  const element = player(() => true);
  const end = playTrack(element, TRACK);
  element.paused = true;
  const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  document.dispatchEvent(new Event("visibilitychange"));
  expect(element.paused).toBe(true);
  hidden.mockReturnValue(false);
  document.dispatchEvent(new Event("visibilitychange"));
  expect(element.paused).toBe(false);
  end();
});

test("without an element nothing happens", () => {
  playTrack(null, TRACK)();
  playOn(null, "headphones")();
});

test("sound goes to the chosen speaker while it is there, and to the browser's own when it is not", async () => {
  const watched = new EventTarget();
  Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: watched });
  let there = true;
  const asked: string[] = [];
  const element = { setSinkId: (id: string) => (asked.push(id), there || id === "" ? Promise.resolve() : Promise.reject(new DOMException("gone", "NotFoundError"))) };
  const end = playOn(element, "headphones");
  expect(asked).toEqual(["headphones"]);
  there = false;
  watched.dispatchEvent(new Event("devicechange"));
  await until("the browser's own plays", () => asked.at(-1) === "");
  there = true;
  watched.dispatchEvent(new Event("devicechange"));
  expect(asked.at(-1)).toBe("headphones");
  end();
  const count = asked.length;
  watched.dispatchEvent(new Event("devicechange"));
  expect(asked).toHaveLength(count);
  playOn(element, undefined)();
  expect(asked).toHaveLength(count);
});

test("a speaker that is refused late does not take the sound away from the next one", async () => {
  Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: new EventTarget() });
  const asked: string[] = [];
  let refuse = (): void => undefined;
  const slow = new Promise<undefined>((_, reject) => (refuse = () => reject(new DOMException("gone", "NotFoundError"))));
  const element = { setSinkId: (id: string): Promise<undefined> => (asked.push(id), id === "gone" ? slow : Promise.resolve(undefined)) };
  const end = playOn(element, "gone");
  end();
  playOn(element, "headphones");
  refuse();
  await slow.catch(() => undefined);
  await Promise.resolve();
  expect(asked).toEqual(["gone", "", "headphones"]);
});

test("a speaker that came back is not left for an earlier refusal", async () => {
  const watched = new EventTarget();
  Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: watched });
  const asked: string[] = [];
  const refusals: (() => void)[] = [];
  const element = {
    setSinkId: (id: string): Promise<undefined> => {
      asked.push(id);
      return asked.length > 1 ? Promise.resolve(undefined) : new Promise((_, reject) => refusals.push(() => reject(new DOMException("gone", "NotFoundError"))));
    },
  };
  const end = playOn(element, "headphones");
  watched.dispatchEvent(new Event("devicechange"));
  refusals.forEach((refuse) => refuse());
  await new Promise((resolve) => setTimeout(resolve));
  expect(asked).toEqual(["headphones", "headphones"]);
  end();
});
