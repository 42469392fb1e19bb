// @vitest-environment jsdom
import { h, render } from "preact";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ParleyClient } from "@parley/client";
import { DevicesWindow } from "../src/devices-entry";
import { language } from "../src/language";
import { followLevel, levelOf, listDevices } from "../src/media-devices";
import { type FakeDevices, FakeTrack, type Plugged, useDevices } from "./fake-devices";
import { unmount, until, useWorld } from "./support";

const device = (kind: MediaDeviceKind, deviceId: string, label: string): Plugged => ({ kind, deviceId, label });
const BUILT_IN = [device("audioinput", "mic", "Built-in microphone"), device("videoinput", "cam", "Built-in camera"), device("audiooutput", "box", "Built-in speaker")];
const HEADSET = [device("audioinput", "headset", "Headset"), device("audiooutput", "headphones", "Headset")];
/** What Chromium lists beside them. */
const ALIAS = device("audioinput", "default", "Default - Built-in microphone");

describe("the choice of devices", () => {
  const world = useWorld();
  let client: ParleyClient;
  let devices: FakeDevices;
  let box: HTMLElement;
  let closed: number;

  beforeEach(async () => {
    devices = useDevices([...BUILT_IN, ALIAS]);
    Object.defineProperty(HTMLMediaElement.prototype, "setSinkId", { configurable: true, value: () => Promise.resolve() });
    client = world.client("alice");
    await until("ready", () => client.messaging.ready && client.stream.kind === "live");
    box = document.body.appendChild(document.createElement("main"));
    closed = 0;
  });
  afterEach(async () => {
    unmount(box);
    box.remove();
    Reflect.deleteProperty(HTMLMediaElement.prototype, "setSinkId");
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
    await language.choose("en");
  });

  const pickers = (): HTMLSelectElement[] => [...box.querySelectorAll("select")];
  const named = (name: string): HTMLSelectElement => pickers().find((select) => select.labels[0]?.firstChild?.textContent === name) as HTMLSelectElement;
  const offered = (name: string): string[] => [...named(name).options].map(({ text }) => text);
  const words = (): string => box.textContent ?? "";

  async function open(): Promise<void> {
    render(h(DevicesWindow, { client, onClose: () => void closed++ }), box);
    await until("it is there", () => pickers().length > 0);
  }

  async function opened(): Promise<void> {
    await open();
    await until("names are there", () => offered("Camera").includes("Built-in camera") && offered("Speaker").includes("Built-in speaker"));
  }

  function choose(name: string, id: string): void {
    named(name).value = id;
    named(name).dispatchEvent(new Event("change", { bubbles: true }));
  }

  test("shows the camera and the devices by name, once the browser tells them", async () => {
    await opened();
    expect(offered("Camera")).toEqual(["The browser's choice", "Built-in camera"]);
    expect(offered("Microphone")).toEqual(["The browser's choice", "Built-in microphone"]);
    expect(offered("Speaker")).toEqual(["The browser's choice", "Built-in speaker"]);
    expect(box.querySelector("video")?.getAttribute("aria-label")).toBe("Your camera");
    expect(box.querySelector("meter")?.getAttribute("aria-label")).toBe("Level of the microphone");
    expect(pickers().map(({ value }) => value)).toEqual(["", "", ""]);
  });

  test("follows what is plugged in and out", async () => {
    await opened();
    devices.plug([...BUILT_IN, ...HEADSET]);
    await until("the headset is offered", () => offered("Microphone").includes("Headset") && offered("Speaker").includes("Headset"));
    choose("Microphone", "headset");
    await until("it is used", () => devices.live.includes("headset") && !devices.live.includes("mic"));
    devices.plug(BUILT_IN);
    await until("another one is used", () => devices.live.includes("mic"));
    await until("that is said", () => words().includes("is not connected"));
    expect(named("Microphone").value).toBe("");
    devices.plug([...BUILT_IN, ...HEADSET]);
    await until("it is the chosen one again", () => named("Microphone").value === "headset");
    expect(words()).not.toContain("is not connected");
  });

  test("frees camera and microphone when it closes", async () => {
    await opened();
    expect(devices.live.sort()).toEqual(["cam", "mic"]);
    box.querySelector<HTMLButtonElement>('[aria-label="Close"]')?.click();
    expect(closed).toBe(1);
    unmount(box);
    await until("they are off", () => devices.live.length === 0);
  });

  test("is kept for the next call in this browser", async () => {
    devices.plug([...BUILT_IN, ...HEADSET]);
    await opened();
    choose("Microphone", "headset");
    choose("Speaker", "headphones");
    await until("it is kept", () => client.calls.deviceChoice.speaker === "headphones");
    unmount(box);
    const { conversationId } = world.backend.openDirect("alice", "bob");
    client.calls.dial(conversationId, "bob", false);
    await until("the call uses it", () => devices.live.join() === "headset");
  });

  test("shows the call's own devices during a call, and changes them", async () => {
    devices.plug([...BUILT_IN, ...HEADSET]);
    const { conversationId } = world.backend.openDirect("alice", "bob");
    client.calls.dial(conversationId, "bob", false);
    await until("it has a microphone", () => client.calls.view().microphone !== undefined);
    await client.calls.setMuted(true);
    await open();
    await until("names are there", () => offered("Microphone").includes("Headset"));
    // No second microphone, and a camera that is off stays off.
    expect(devices.live).toEqual(["mic"]);
    expect(words()).toContain("Your camera is off.");
    expect(words()).toContain("You are muted");
    choose("Microphone", "headset");
    await until("the call goes over", () => devices.live.join() === "headset");
    expect(client.calls.view().muted).toBe(true);
    expect(devices.opened.at(-1)?.enabled).toBe(false);
  });

  test("leaves its devices to a call that begins", async () => {
    await opened();
    const { conversationId } = world.backend.openDirect("alice", "bob");
    client.calls.dial(conversationId, "bob", false);
    await until("only the call has one", () => client.calls.view().microphone !== undefined && devices.live.join() === "mic");
  });

  test("says what the browser refuses", async () => {
    devices.refused = true;
    await open();
    await until("it is said", () => words().includes("Your camera and microphone are blocked."));
    expect(box.querySelector("video")).toBeNull();
    expect(offered("Microphone")).toEqual(["The browser's choice"]);
  });

  test("offers no speaker where a page cannot choose it", async () => {
    Reflect.deleteProperty(HTMLMediaElement.prototype, "setSinkId");
    await open();
    await until("names are there", () => offered("Camera").includes("Built-in camera"));
    expect(named("Speaker")).toBeUndefined();
  });

  test.each([["ar", "الكاميرا والميكروفون"], ["es", "Cámara y micrófono"]] as const)("is there in %s", async (code, title) => {
    await language.choose(code);
    await open();
    await until("a name is there", () => words().includes("Built-in camera"));
    expect(box.querySelector("h2")?.textContent).toBe(title);
    expect(document.documentElement.dir).toBe(code === "ar" ? "rtl" : "ltr");
    const own = words().replaceAll(/Built-in \w+/g, "");
    if (code === "ar") expect(own).not.toMatch(/[A-Za-z]{2,}/);
  });
});

test("a browser without devices lists none", async () => {
  Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: undefined });
  expect(await listDevices()).toEqual({ microphone: [], camera: [], speaker: [] });
});

test("a level is how loud it is, from silence to the loudest", () => {
  const tone = (amplitude: number): Float32Array => Float32Array.from({ length: 1024 }, (_, i) => amplitude * Math.sign(Math.sin(i)));
  expect(levelOf(new Float32Array(1024))).toBe(0);
  expect(levelOf(new Float32Array(0))).toBe(0);
  expect(levelOf(tone(1))).toBeCloseTo(1, 2);
  expect(levelOf(tone(0.0005))).toBe(0);
  expect(levelOf(tone(0.01))).toBeLessThan(levelOf(tone(0.1)));
});

test("the level is measured until nobody looks any more", () => {
  vi.useFakeTimers();
  let open = 0;
  class FakeContext {
    constructor() {
      open++;
    }
    resume = (): Promise<void> => Promise.resolve();
    close = (): Promise<void> => Promise.resolve(void open--);
    createAnalyser = () => ({ fftSize: 0, getFloatTimeDomainData: (samples: Float32Array) => void samples.fill(1) });
    createMediaStreamSource = () => ({ connect: () => undefined });
  }
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal("MediaStream", class {});
  const levels: number[] = [];
  const end = followLevel(new FakeTrack("audio", "mic") as unknown as MediaStreamTrack, (level) => levels.push(level));
  vi.advanceTimersByTime(1000);
  expect(levels.length).toBeGreaterThan(5);
  expect(levels[0]).toBe(1);
  end();
  const count = levels.length;
  vi.advanceTimersByTime(1000);
  expect([open, levels.length]).toEqual([0, count]);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});
