import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ChannelMessageSchema } from "../src/gen/parley/sfu/v1/channel_pb.js";
import type { Grant } from "../src/media-connection.js";
import { MediaConnection } from "../src/media-connection.js";
import { until } from "./support.js";

class FakeTrack {
  muted = true;
  readyState = "live";
  onunmute: (() => void) | null = null;
  onmute: (() => void) | null = null;
  constructor(readonly kind: string) {}
}

class FakeConnection {
  static made: FakeConnection[] = [];
  connectionState = "new";
  signalingState = "stable";
  localDescription: { sdp: string } | null = null;
  onconnectionstatechange: (() => void) | null = null;
  readonly channel = { readyState: "connecting", onmessage: null as ((event: { data: ArrayBuffer }) => void) | null, send: () => undefined };
  private readonly transceivers: { mid: string; receiver: { track: FakeTrack }; sender: { replaceTrack: () => Promise<void> } }[] = [];
  readonly number = FakeConnection.made.push(this);
  constructor(readonly configuration: RTCConfiguration) {}

  addTransceiver(kind: string) {
    const made = { mid: String(this.transceivers.length), receiver: { track: new FakeTrack(kind) }, sender: { replaceTrack: () => Promise.resolve() } };
    this.transceivers.push(made);
    return made;
  }
  getTransceivers = () => this.transceivers;
  createDataChannel = () => this.channel;
  createOffer = () => Promise.resolve({});
  setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: `offer ${this.number}` };
    return Promise.resolve();
  }
  setRemoteDescription = () => Promise.resolve();
  close(): void {
    this.connectionState = "closed";
  }

  /** The transport changes. */
  become(state: string): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  /** The SFU says that Bob is on the receive slots; `packets`: and they come. */
  showBob(packets: boolean): void {
    const slots = ["4", "6"].map((mid) => ({ mid, userId: "bob" }));
    const message = create(ChannelMessageSchema, { message: { case: "slotMap", value: { slots } } });
    const bytes = toBinary(ChannelMessageSchema, message);
    this.channel.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer });
    for (const { receiver } of this.transceivers.slice(4)) {
      receiver.track.muted = !packets;
      receiver.track.onunmute?.();
    }
  }

  track = (mid: string) => this.transceivers[Number(mid)]?.receiver.track as unknown as MediaStreamTrack;
}

/** A relay with the credentials of one grant, which hold for an hour at most. */
const relayedBy = (credential: string) => [{ urls: ["turn:relay.example"], username: "1:a", credential }];

const GRANT: Grant = { joinToken: "first", audioSlots: 1, videoSlots: 1 };

describe("media that moves to another worker", () => {
  const joined: string[] = [];
  let link: MediaConnection;
  let refuse = false;

  beforeEach(async () => {
    FakeConnection.made = [];
    joined.length = 0;
    refuse = false;
    vi.stubGlobal("RTCPeerConnection", FakeConnection);
    const signaling = {
      renew: () =>
        refuse ? Promise.reject(new Error("away")) : Promise.resolve({ ...GRANT, joinToken: "second", iceServers: relayedBy("second") }),
      join: (token: string) => Promise.resolve(joined.push(token).toString()),
    };
    link = new MediaConnection(signaling, { onChange: () => undefined, onRefused: () => undefined });
    link.start({ ...GRANT, iceServers: relayedBy("first") });
    await until("the first join", () => joined.length === 1);
    first().become("connected");
    first().showBob(true);
  });

  afterEach(() => {
    link.close();
    vi.unstubAllGlobals();
  });

  const at = (index: number): FakeConnection => {
    const made = FakeConnection.made[index];
    if (!made) throw new Error(`no connection ${index}`);
    return made;
  };
  const first = () => at(0);
  const second = () => at(1);

  async function move(): Promise<void> {
    link.move();
    await until("the second join", () => joined.length === 2);
  }

  test("the old connection serves until the new one brings media, and goes when the server closes it", async () => {
    await move();
    expect(joined).toEqual(["first", "second"]);
    expect(first().connectionState).toBe("connected");
    second().become("connected");
    expect(link.phase).toBe("connected");
    second().showBob(false);
    expect(link.remotes[0]?.video).toBe(first().track("6"));
    second().showBob(true);
    expect(link.remotes[0]?.video).toBe(second().track("6"));
    expect(link.remotes).toHaveLength(1);
    expect(first().connectionState).toBe("connected");
    first().become("failed");
    expect(first().connectionState).toBe("closed");
    expect(link.remotes[0]?.audio).toBe(second().track("4"));
  });

  test("a worker that died is left for the new one without waiting for it", async () => {
    first().become("disconnected");
    expect(link.phase).toBe("interrupted");
    await move();
    second().become("connected");
    expect(link.phase).toBe("connected");
  });

  test.each(["a move", "a lost connection"])("%s asks for new credentials of the relay", async (reason) => {
    if (reason === "a move") await move();
    else {
      first().become("failed");
      await until("the second join", () => joined.length === 2);
    }
    const credentials = FakeConnection.made.map(({ configuration }) => configuration.iceServers?.map((server) => server.credential));
    expect(credentials).toEqual([["first"], ["second"]]);
  });

  test("a move that fails is tried again as after a loss", async () => {
    refuse = true;
    link.move();
    await until("it is under way again", () => link.phase === "rejoining" || link.phase === "waiting");
    refuse = false;
    link.retryNow();
    await until("the second join", () => joined.length === 2);
    expect(joined).toEqual(["first", "second"]);
  });

  test("closing ends all connections", async () => {
    await move();
    second().become("connected");
    link.close();
    expect([first(), second()].map((made) => made.connectionState)).toEqual(["closed", "closed"]);
  });
});
