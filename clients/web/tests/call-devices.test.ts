import { describe, expect, onTestFinished, test, vi } from "vitest";
import { CallDevices } from "../src/call-devices.js";
import type { ParleyClient } from "../src/index.js";
import { LocalTracks } from "../src/local-tracks.js";
import { fakeDevices, fakeStorage, FakeTrack, until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const idOf = (track: MediaStreamTrack | undefined): string | undefined => (track as unknown as FakeTrack | undefined)?.deviceId;
const fake = (track: MediaStreamTrack | undefined): FakeTrack => track as unknown as FakeTrack;

describe("the devices of a call", () => {
  const world = useWorld();

  async function calling(video = true): Promise<ParleyClient> {
    world.backend.openDirect("alice", "bob");
    const alice = world.client("alice");
    await until("ready", () => alice.messaging.ready && alice.stream.kind === "live");
    dial(alice, video);
    return alice;
  }

  function dial(alice: ParleyClient, video = true): void {
    alice.calls.dial(ROOM, "bob", video);
  }

  const devices = (client: ParleyClient): (string | undefined)[] => [idOf(client.calls.view().microphone), idOf(client.calls.view().camera)];

  test("are the browser's own without a choice", async () => {
    const alice = await calling();
    await until("they are there", () => alice.calls.view().camera !== undefined);
    expect(devices(alice)).toEqual(["default", "default"]);
    expect(alice.calls.deviceChoice).toEqual({});
  });

  test("are those that were chosen, in the call that runs and in the next", async () => {
    fakeDevices([], ["headset", "webcam"]);
    const alice = await calling();
    await until("they are there", () => alice.calls.view().camera !== undefined);
    const before = alice.calls.view();
    await alice.calls.chooseDevice("microphone", "headset");
    await alice.calls.chooseDevice("camera", "webcam");
    await alice.calls.chooseDevice("speaker", "headset");
    expect(devices(alice)).toEqual(["headset", "webcam"]);
    expect([fake(before.microphone).stopped, fake(before.camera).stopped]).toEqual([true, true]);
    expect(idOf(world.media(alice)[0]?.sent.at(-1)?.microphone)).toBe("headset");
    alice.calls.hangUp();
    alice.calls.dismiss();
    dial(alice);
    await until("they are there again", () => alice.calls.view().camera !== undefined);
    expect(devices(alice)).toEqual(["headset", "webcam"]);
    expect(alice.calls.deviceChoice).toEqual({ microphone: "headset", camera: "webcam", speaker: "headset" });
  });

  test("stay off or silent when another one is chosen", async () => {
    fakeDevices([], ["headset", "webcam"]);
    const alice = await calling(false);
    await until("it is there", () => alice.calls.view().microphone !== undefined);
    await alice.calls.setMuted(true);
    await alice.calls.chooseDevice("microphone", "headset");
    await alice.calls.chooseDevice("camera", "webcam");
    expect(alice.calls.view()).toMatchObject({ muted: true, camera: undefined });
    expect(fake(alice.calls.view().microphone)).toMatchObject({ deviceId: "headset", enabled: false });
  });

  test("are others when the chosen ones are gone, before the call or during it", async () => {
    fakeDevices([], ["headset"]);
    const alice = await calling();
    await until("they are there", () => alice.calls.view().camera !== undefined);
    await alice.calls.chooseDevice("microphone", "headset");
    await alice.calls.chooseDevice("camera", "webcam-at-home");
    expect(devices(alice)).toEqual(["headset", "default"]);
    fakeDevices();
    fake(alice.calls.view().microphone).pull();
    await until("another one is used", () => idOf(alice.calls.view().microphone) === "default");
    expect(alice.calls.view().muted).toBe(false);
    // It is what is wished for, when it comes back.
    expect(alice.calls.deviceChoice.microphone).toBe("headset");
  });

  test.each(["gives back", "keeps"])("that the system takes for a telephone call and %s are opened anew, and stay muted", async (does) => {
    const alice = await calling();
    await until("they are there", () => alice.calls.view().camera !== undefined);
    await alice.calls.setMuted(true);
    const { microphone, camera } = alice.calls.view();
    alice.setHidden(true);
    fake(microphone).onmute();
    if (does === "gives back") fake(microphone).onunmute();
    alice.setHidden(false);
    await until("another track", () => alice.calls.view().microphone !== microphone);
    expect(alice.calls.view()).toMatchObject({ camera, muted: true });
    expect([fake(microphone).stopped, fake(alice.calls.view().microphone).enabled]).toEqual([true, false]);
    expect(world.media(alice)[0]?.sent.at(-1)?.microphone).toBe(alice.calls.view().microphone);
  });

  test("that the system keeps while the page is seen again are tried when it is seen the next time", async () => {
    const alice = await calling(false);
    await until("it is there", () => alice.calls.view().microphone !== undefined);
    const { microphone } = alice.calls.view();
    fake(microphone).onmute();
    vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: () => Promise.reject(new DOMException("busy", "NotReadableError")) } });
    const seen = (): void => [true, false].forEach((hidden) => alice.setHidden(hidden));
    seen();
    await until("it is said", () => alice.calls.view().deviceProblem?.microphone === "in_use");
    fakeDevices();
    seen();
    await until("another track", () => alice.calls.view().microphone !== microphone);
    expect(alice.calls.view().deviceProblem?.microphone).toBeUndefined();
  });

  test("run on where the new choice cannot be had", async () => {
    const alice = await calling();
    await until("they are there", () => alice.calls.view().camera !== undefined);
    const { camera } = alice.calls.view();
    vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: () => Promise.reject(new DOMException("busy", "NotReadableError")) } });
    await alice.calls.chooseDevice("camera", "webcam");
    expect(alice.calls.view()).toMatchObject({ camera, deviceProblem: { camera: "in_use" } });
    expect(fake(camera).stopped).toBe(false);
  });

  test("of two choices right after each other the later one counts", async () => {
    fakeDevices([], ["one", "two"]);
    const alice = await calling();
    await until("they are there", () => alice.calls.view().camera !== undefined);
    await Promise.all([alice.calls.chooseDevice("camera", "one"), alice.calls.chooseDevice("camera", "two")]);
    expect(idOf(alice.calls.view().camera)).toBe("two");
  });
});

describe("a look at the devices before a call", () => {
  const world = useWorld();

  test("shows the chosen ones, goes over to others, and frees them", async () => {
    fakeDevices([], ["headset", "webcam"]);
    const { calls } = world.client("alice");
    await calls.chooseDevice("camera", "webcam");
    let changes = 0;
    const preview = calls.preview(() => void changes++);
    await until("they are there", () => preview.camera !== undefined);
    expect([idOf(preview.microphone), idOf(preview.camera)]).toEqual(["default", "webcam"]);
    await calls.chooseDevice("microphone", "headset");
    await preview.reopen("microphone");
    expect(idOf(preview.microphone)).toBe("headset");
    expect(changes).toBeGreaterThan(1);
    const tracks = [preview.microphone, preview.camera];
    preview.close();
    expect(tracks.map((track) => fake(track).stopped)).toEqual([true, true]);
    expect(calls.view()).toMatchObject({ phase: "idle", camera: undefined });
  });

  test("says what cannot be had, and asks again", async () => {
    fakeDevices(["video"]);
    const preview = world.client("alice").calls.preview(() => undefined);
    await until("it is known", () => preview.cameraProblem === "refused" && preview.microphone !== undefined);
    fakeDevices();
    await preview.setCamera(true);
    expect(preview).toMatchObject({ cameraProblem: undefined });
    expect(preview.camera).toBeDefined();
    preview.close();
  });
});

test.each(["end", "are taken and given back"])("devices that %s again and again are not opened again and again", async (does) => {
  let opened = 0;
  const getUserMedia = (): Promise<MediaStream> => {
    opened++;
    const track = new FakeTrack("audio", "flaky");
    queueMicrotask(() => setTimeout(() => (does === "end" ? track.pull() : [track.onmute(), track.onunmute()])));
    return Promise.resolve({ getAudioTracks: () => [track], getVideoTracks: () => [] } as unknown as MediaStream);
  };
  fakeDevices();
  vi.stubGlobal("MediaStream", Object);
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } });
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const own = new LocalTracks(new CallDevices(fakeStorage()), () => undefined);
  await own.open(false);
  await vi.advanceTimersByTimeAsync(300);
  own.close();
  expect(opened).toBeLessThanOrEqual(4);
});

describe("while the browser still asks its user", () => {
  /** Answers when it is let. */
  function asking(): { answer: () => void; tracks: FakeTrack[] } {
    fakeDevices();
    const { getUserMedia, getDisplayMedia } = navigator.mediaDevices;
    const tracks: FakeTrack[] = [];
    let answer = (): void => undefined;
    const allowed = new Promise<void>((resolve) => (answer = resolve));
    const slow = <T>(open: (wanted: T) => Promise<MediaStream>) => async (wanted: T): Promise<MediaStream> => {
      await allowed;
      const stream = await open(wanted);
      tracks.push(...[...stream.getAudioTracks(), ...stream.getVideoTracks()].map(fake));
      return stream;
    };
    vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: slow(getUserMedia), getDisplayMedia: slow(getDisplayMedia) } });
    return { answer, tracks };
  }

  const local = (): LocalTracks => new LocalTracks(new CallDevices(fakeStorage()), () => undefined);

  test("a camera that is switched off stays off", async () => {
    const { answer, tracks } = asking();
    const own = local();
    const opening = own.open(true);
    await own.setCamera(false);
    answer();
    await opening;
    expect([idOf(own.microphone), own.camera]).toEqual(["default", undefined]);
    expect(tracks.map(({ kind, stopped }) => [kind, stopped])).toEqual([["audio", false], ["video", true]]);
  });

  test("what is asked for once more is opened once, whichever answer comes first", async () => {
    const { answer, tracks } = asking();
    const own = local();
    const opening = own.open(false);
    const again = own.setMuted(false);
    answer();
    await Promise.all([opening, again]);
    expect(tracks.filter(({ stopped }) => !stopped)).toEqual([own.microphone]);
  });

  test("a screen that nobody wants to show any more is not shown", async () => {
    const { answer, tracks } = asking();
    const own = local();
    const sharing = own.setScreen(true);
    await own.setScreen(false);
    answer();
    await sharing;
    expect(own.screen).toBeUndefined();
    expect(tracks.map(({ stopped }) => stopped)).toEqual([true, true]);
  });

  test("of two screens one is shown, and the other freed", async () => {
    const { answer, tracks } = asking();
    const own = local();
    const sharing = [own.setScreen(true), own.setScreen(true)];
    answer();
    await Promise.all(sharing);
    expect(tracks.filter(({ stopped }) => !stopped)).toEqual([own.screenSound, own.screen]);
    own.close();
    expect(tracks.every(({ stopped }) => stopped)).toBe(true);
  });
});

test("a choice is this browser's, and an empty one takes it back", () => {
  const storage = fakeStorage();
  new CallDevices(storage).choose("camera", "webcam");
  expect(new CallDevices(storage).choice).toEqual({ camera: "webcam" });
  new CallDevices(storage).choose("camera", "");
  expect(new CallDevices(storage).choice).toEqual({});
});

test("a storage that is full keeps the choice for as long as the page is open", () => {
  const full = { ...fakeStorage(), setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
  const devices = new CallDevices(full);
  devices.choose("microphone", "headset");
  expect(devices.choice).toEqual({ microphone: "headset" });
});
