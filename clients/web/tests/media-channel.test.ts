import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ChannelMessageSchema, ScreenState, VideoSource } from "../src/gen/parley/sfu/v1/channel_pb.js";
import type { Slot, Unseen } from "../src/core/slots.js";
import { MediaChannel } from "../src/media-channel.js";
import type { WantedVideo } from "../src/sent-layers.js";

class FakeChannel {
  readyState = "connecting";
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  readonly sent: ReturnType<typeof parse>[] = [];

  send(bytes: Uint8Array): void {
    this.sent.push(parse(bytes));
  }

  open(): void {
    this.readyState = "open";
    this.onopen?.();
  }

  say(message: MessageInitShape<typeof ChannelMessageSchema>["message"] & object): void {
    this.deliver(toBinary(ChannelMessageSchema, create(ChannelMessageSchema, { message })));
  }

  deliver(bytes: Uint8Array): void {
    this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer });
  }
}

const parse = (bytes: Uint8Array) => fromBinary(ChannelMessageSchema, bytes).message;

function made() {
  const heard: { slots: Slot[][]; unseen: Unseen[]; speakers: string[][]; weak: boolean[]; wanted: WantedVideo[] } = {
    slots: [],
    unseen: [],
    speakers: [],
    weak: [],
    wanted: [],
  };
  const fake = new FakeChannel();
  const channel = new MediaChannel(fake as unknown as RTCDataChannel, {
    onSlots: (slots, unseen) => {
      heard.slots.push(slots);
      heard.unseen.push(unseen);
    },
    onSpeakers: (userIds) => heard.speakers.push(userIds),
    onQuality: (weak) => heard.weak.push(weak),
    onWantedVideo: (wanted) => heard.wanted.push(wanted),
  });
  return { fake, channel, heard };
}

describe("the channel to the SFU", () => {
  test("what is said before it opens is said then, the last of each kind", () => {
    const { fake, channel } = made();
    channel.sendState({ audioMuted: true, videoMuted: true });
    channel.sendState({ audioMuted: false, videoMuted: true });
    channel.requestVideo([{ userId: "bob", screen: true, maxHeight: 0, pinned: true }], true);
    expect(fake.sent).toEqual([]);
    fake.open();
    expect(fake.sent.map((message) => message.case)).toEqual(["mediaState", "setVideoSlots"]);
    expect(fake.sent[0]?.value).toMatchObject({ audioMuted: false, videoMuted: true });
    expect(fake.sent[1]?.value).toMatchObject({ requests: [{ userId: "bob", source: VideoSource.SCREEN, pinned: true }], hidden: true });
  });

  test("what the players saw is said once it is open", () => {
    const { fake, channel } = made();
    channel.report({ frozen: 0.5, concealed: 0.1 });
    fake.open();
    channel.report({ frozen: 0, concealed: 0.2 });
    expect(fake.sent.filter((message) => message.case === "receiveQuality").map((message) => message.value)).toMatchObject([{ concealedRatio: 0.2 }]);
  });

  test("slots, speakers and one's own weak network are heard", () => {
    const { fake, heard } = made();
    fake.say({ case: "slotMap", value: { slots: [{ mid: "4", userId: "bob", muted: true, source: VideoSource.SCREEN }] } });
    fake.say({ case: "activeSpeakers", value: { speakers: [{ userId: "bob" }, { userId: "carol" }] } });
    fake.say({ case: "connectionQuality", value: { uplinkMos: 1.5, weak: true } });
    expect(heard).toEqual({ unseen: [{ of: [], by: [] }], slots: [[{ mid: "4", userId: "bob", muted: true, screen: true }]], speakers: [["bob", "carol"]], weak: [true], wanted: [] });
  });

  test("which of one's own layers anybody takes is heard, and in which codec", () => {
    const { fake, heard } = made();
    fake.say({ case: "wantedLayers", value: { layers: [{ mid: "1", rid: "q" }, { mid: "1", rid: "f", wanted: true }], codecs: [{ mid: "1", payloadType: 98 }] } });
    const layers = [{ mid: "1", rid: "q", wanted: false }, { mid: "1", rid: "f", wanted: true }];
    expect(heard.wanted).toEqual([{ layers, codecs: [{ mid: "1", payloadType: 98 }] }]);
  });

  test("pictures without a decoder are heard of, on either side", () => {
    const { fake, heard } = made();
    fake.say({ case: "slotMap", value: { unseen: [{ userId: "bob", source: VideoSource.CAMERA }], unseenBy: [{ userId: "carol", source: VideoSource.SCREEN }] } });
    expect(heard.unseen).toEqual([{ of: [{ userId: "bob", screen: false }], by: [{ userId: "carol", screen: true }] }]);
  });

  test("a screen is said to be on or off, or nothing is said of it", () => {
    const { fake, channel } = made();
    fake.open();
    for (const sharing of [true, false]) channel.sendState({ audioMuted: false, videoMuted: false, sharing });
    const states = fake.sent.map((message) => (message.case === "mediaState" ? message.value.screen : undefined));
    expect(states).toEqual([ScreenState.UNSPECIFIED, ScreenState.ON, ScreenState.OFF]);
  });

  test("a poor network of the other side alone is no news of one's own", () => {
    const { fake, heard } = made();
    fake.say({ case: "connectionQuality", value: { uplinkMos: 4.4, downlinkMos: 4.4, remoteMos: 1.2, weak: false } });
    expect(heard.weak).toEqual([false]);
  });

  test("what it does not understand is left alone", () => {
    const { fake, heard } = made();
    fake.deliver(new Uint8Array([255, 255, 255]));
    expect(heard).toEqual({ slots: [], unseen: [], speakers: [], weak: [], wanted: [] });
  });
});
