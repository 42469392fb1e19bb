// @vitest-environment jsdom
import { h, render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import { ParleyClient } from "@parley/client";
import { waveformOf } from "../src/voice-recorder";
import { VoiceWindow } from "../src/voice-window";
import { type FakeDevices, useDevices } from "./fake-devices";
import { FakeRecorder, useRecorder } from "./fake-recorder";
import { unmount, until, useWorld } from "./support";

const ROOM = "alice+bob";

describe("the window in which a voice message is recorded", () => {
  const world = useWorld();
  let client: ParleyClient;
  let devices: FakeDevices;
  let box: HTMLElement;
  let told: string[];
  let nowMs: number;

  beforeEach(async () => {
    devices = useDevices([{ kind: "audioinput", deviceId: "mic", label: "Built-in microphone" }]);
    useRecorder();
    nowMs = 1_000;
    vi.spyOn(performance, "now").mockImplementation(() => nowMs);
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:a", revokeObjectURL: () => undefined }));
    world.backend.openDirect("alice", "bob");
    const tokens = () => Promise.resolve({ value: "t", userId: "alice", expiresMs: Number.POSITIVE_INFINITY });
    client = new ParleyClient({ userId: "alice", deviceId: "device-a", tokens, api: world.backend.apiFor("alice"), put: world.backend.files.put, baseUrl: "" });
    client.start();
    await until("ready", () => client.current);
    box = document.body.appendChild(document.createElement("main"));
    told = [];
  });
  afterEach(() => {
    unmount(box);
    box.remove();
    client.stop();
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  const button = (name: string): HTMLButtonElement | undefined => [...box.querySelectorAll("button")].find(({ textContent }) => textContent === name);
  const says = (words: string): Promise<void> => until(`${words} is said`, () => box.textContent?.includes(words) === true);
  const sent = () => world.backend.stored(ROOM).messages;

  async function record(lengthMs: number): Promise<void> {
    render(h(VoiceWindow, { client, conversationId: ROOM, replyToSeq: 4, onSent: () => told.push("sent"), onClose: () => told.push("closed") }), box);
    await says("Recording");
    nowMs += lengthMs;
    button("Stop")?.click();
    await until("it is recorded", () => button("Record again") !== undefined);
  }

  test("records at once, and sends what can be heard once", async () => {
    await record(12_400);
    await says("Voice message · 0:12");
    expect(devices.live).toEqual([]);
    expect(box.querySelector("audio")?.getAttribute("aria-label")).toBe("What was recorded");
    await act(() => box.querySelector<HTMLInputElement>("[role=switch]")?.click());
    button("Send")?.click();
    await until("it is sent", () => told.length > 0);
    expect(told).toEqual(["closed", "sent"]);
    const [message] = sent();
    expect(message).toMatchObject({ viewOnce: true, replyToSeq: 4n, attachments: [{ contentType: "audio/webm" }] });
    expect(message?.content).toMatchObject({ case: "voice", value: { length: { seconds: 12n, nanos: 400_000_000 } } });
  });

  test("is sent to be heard again unless that is switched", async () => {
    await record(2_000);
    button("Send")?.click();
    await until("it is sent", () => sent().length === 1);
    expect(sent()[0]?.viewOnce).toBe(false);
  });

  test("what was a slip of the finger is not sent, and can be recorded again", async () => {
    await record(200);
    await says("too short");
    expect(button("Send")?.disabled).toBe(true);
    button("Record again")?.click();
    await until("it records", () => FakeRecorder.made.length === 2 && button("Stop") !== undefined);
    expect(box.textContent).not.toContain("too short");
  });

  test("a failure is said, and sent again it is stored once", async () => {
    await record(2_000);
    world.backend.faults.set("sendMessage", new ConnectError("x", Code.Unavailable));
    button("Send")?.click();
    await until("that is said", () => (box.querySelector("[role=alert]")?.textContent ?? "") !== "");
    world.backend.faults.clear();
    button("Send")?.click();
    await until("it is sent", () => told.length > 0);
    expect(sent()).toHaveLength(1);
    expect(world.backend.requests["createUpload"]).toBe(1);
  });

  test("without a microphone it says why", async () => {
    devices.refused = true;
    render(h(VoiceWindow, { client, conversationId: ROOM, replyToSeq: 0, onSent: () => undefined, onClose: () => undefined }), box);
    await says("Your microphone is blocked.");
    expect(button("Send")?.disabled).toBe(true);
    devices.refused = false;
    button("Record again")?.click();
    await says("Recording");
  });

  test("who closes it while it records keeps nothing, and frees the microphone", async () => {
    render(h(VoiceWindow, { client, conversationId: ROOM, replyToSeq: 0, onSent: () => undefined, onClose: () => undefined }), box);
    await says("Recording");
    expect(devices.live).toEqual(["mic"]);
    unmount(box);
    await until("it is free", () => devices.live.length === 0);
    expect(sent()).toEqual([]);
  });
});

test("a waveform has the loudest of each part, at most 128 of them", () => {
  expect([...waveformOf([])]).toEqual([]);
  expect([...waveformOf([0, 1, 0.5])]).toEqual([0, 255, 128]);
  const long = waveformOf(Array.from({ length: 1_000 }, (_, at) => (at === 999 ? 1 : 0)));
  expect([long.length, long.at(-1), long[0]]).toEqual([128, 255, 0]);
});
