import { afterEach, beforeEach, vi } from "vitest";
import { MockBackend } from "../src/testing/backend.js";
import { FakeMedia } from "../src/testing/media.js";
import type { CallMedia, MediaFactory } from "../src/index.js";
import { ParleyClient } from "../src/index.js";

/** Polls until the condition holds; fails with `what` after two seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  await vi.waitFor(
    () => {
      if (!condition()) throw new Error(`never happened: ${what}`);
    },
    { timeout: 30_000, interval: 5 },
  );
}

/** Media that connects at once, and records what it was told. */
export class RecordingMedia extends FakeMedia {
  moves = 0;
  readonly videoRequests: Parameters<CallMedia["requestVideo"]>[0][] = [];
  /** What each of them said of the page. */
  readonly hidden: boolean[] = [];
  readonly sent: Parameters<CallMedia["send"]>[0][] = [];

  override move(): void {
    this.moves += 1;
  }

  override send(sending: Parameters<CallMedia["send"]>[0]): void {
    this.sent.push(sending);
  }

  override requestVideo(videoRequests: Parameters<CallMedia["requestVideo"]>[0], hidden: boolean): void {
    this.videoRequests.push(videoRequests);
    this.hidden.push(hidden);
  }

  /** What the SFU says. */
  say(change: Partial<Pick<CallMedia, "remotes" | "speakers" | "weak" | "encryption" | "unseen">>): void {
    Object.assign(this, change);
    this.changed();
  }
}

export class FakeTrack {
  enabled = true;
  stopped = false;
  onended: () => void = () => undefined;
  onmute: () => void = () => undefined;
  onunmute: () => void = () => undefined;
  constructor(
    readonly kind: string,
    readonly deviceId: string,
  ) {}
  get readyState(): string {
    return this.stopped ? "ended" : "live";
  }
  stop(): void {
    this.stopped = true;
  }
  /** Somebody pulls its plug. */
  pull(): void {
    this.stopped = true;
    this.onended();
  }
}

/** Of the constraints of one kind: the device that is wished for, where it is there. */
function deviceOf(constraints: boolean | MediaTrackConstraints, present: readonly string[]): string {
  const wished = typeof constraints === "object" ? (constraints.deviceId as ConstrainDOMStringParameters | undefined)?.ideal : undefined;
  return typeof wished === "string" && present.includes(wished) ? wished : "default";
}

class FakeStream {
  readonly tracks: FakeTrack[];
  constructor(constraints: MediaStreamConstraints, present: readonly string[] = []) {
    this.tracks = (["audio", "video"] as const).flatMap((kind) => (constraints[kind] ? [new FakeTrack(kind, deviceOf(constraints[kind], present))] : []));
  }
  getAudioTracks = () => this.tracks.filter((t) => t.kind === "audio");
  getVideoTracks = () => this.tracks.filter((t) => t.kind === "video");
}

/** Puts a browser's camera and microphone in place; `refuse` names what the user does not allow, `present` the ids of others that are there. */
export function fakeDevices(refuse: readonly ("audio" | "video")[] = [], present: readonly string[] = []): void {
  const getUserMedia = (constraints: MediaStreamConstraints) => {
    if (refuse.some((kind) => constraints[kind])) return Promise.reject(new DOMException("no", "NotAllowedError"));
    return Promise.resolve(new FakeStream(constraints, present));
  };
  vi.stubGlobal("MediaStream", FakeStream);
  const getDisplayMedia = (constraints: MediaStreamConstraints) => Promise.resolve(new FakeStream(constraints));
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia, getDisplayMedia } });
}

/** In place of localStorage. */
export function fakeStorage(): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value), removeItem: (key) => void kept.delete(key) };
}

export interface World {
  backend: MockBackend;
  /** A client of this user, started; stopped after the test. */
  client(userId: string, deviceId?: string): ParleyClient;
  /** Runs after the test. */
  closing(act: () => void): void;
  /** The media of a client's calls, oldest first. */
  media(client: ParleyClient): RecordingMedia[];
}

/** A backend and clients for each test of a file. */
export function useWorld(): World {
  let clients: ParleyClient[] = [];
  let media = new Map<string, RecordingMedia[]>();
  let closers: (() => void)[] = [];
  const world: World = {
    backend: new MockBackend(),
    client(userId, deviceId = `device-of-${userId}`) {
      const own: RecordingMedia[] = [];
      const factory: MediaFactory = (_signaling, listener) => {
        const made = new RecordingMedia(() => listener.onChange());
        own.push(made);
        return made;
      };
      const tokens = () => Promise.resolve({ value: "t", userId, expiresMs: Number.POSITIVE_INFINITY });
      const api = world.backend.apiFor(userId);
      const client = new ParleyClient({ userId, deviceId, tokens, api, media: factory, baseUrl: "", put: world.backend.files.put, storage: fakeStorage() });
      media.set(deviceId, own);
      clients.push(client);
      client.start();
      return client;
    },
    closing: (act) => void closers.push(act),
    media: (client) => media.get(client.deviceId) ?? [],
  };
  beforeEach(() => {
    world.backend = new MockBackend();
    clients = [];
    media = new Map();
    fakeDevices();
  });
  afterEach(() => {
    for (const client of clients) client.stop();
    for (const close of closers) close();
    closers = [];
    vi.unstubAllGlobals();
  });
  return world;
}
