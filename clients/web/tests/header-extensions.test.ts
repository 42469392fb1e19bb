import { expect, test } from "vitest";
import { offerDescriptors } from "../src/header-extensions.js";

const DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

class FakeTransceiver {
  readonly receiver;
  extensions: { uri: string; direction: RTCRtpTransceiverDirection }[];

  constructor(kind: string, direction: RTCRtpTransceiverDirection) {
    this.receiver = { track: { kind } };
    this.extensions = [{ uri: "urn:ietf:params:rtp-hdrext:sdes:mid", direction: "sendrecv" }, { uri: DESCRIPTOR, direction }];
  }

  getHeaderExtensionsToNegotiate() {
    return this.extensions.map((extension) => ({ ...extension }));
  }

  setHeaderExtensionsToNegotiate(extensions: { uri: string; direction: RTCRtpTransceiverDirection }[]): void {
    this.extensions = extensions;
  }
}

test("lines of video offer the dependency descriptor, where a browser has it and leaves it out", () => {
  const [video, audio, offered] = [new FakeTransceiver("video", "stopped"), new FakeTransceiver("audio", "stopped"), new FakeTransceiver("video", "sendonly")];
  offerDescriptors([video, audio, offered, { receiver: { track: { kind: "video" } } }]);
  expect([video, audio, offered].map(({ extensions }) => extensions.map(({ direction }) => direction))).toEqual([
    ["sendrecv", "sendrecv"],
    ["sendrecv", "stopped"],
    ["sendrecv", "sendonly"],
  ]);
});
