import { expect, test } from "vitest";
import { type LayerState, SentLayers } from "../src/sent-layers.js";

const CODECS = [
  { payloadType: 96, mimeType: "video/VP8", clockRate: 90000 },
  { payloadType: 98, mimeType: "video/VP9", clockRate: 90000, sdpFmtpLine: "profile-id=0" },
  { payloadType: 102, mimeType: "video/H264", clockRate: 90000 },
];

/** As browsers have it: parameters are good for one `setParameters`, and that takes its time. */
class FakeSender {
  encodings: RTCRtpEncodingParameters[];
  changes = 0;
  refuses = false;
  /** Of one that knows no `codec`. */
  refusesCodecs = false;
  private given = 0;

  constructor(...rids: string[]) {
    this.encodings = rids.length > 0 ? rids.map((rid) => ({ rid, active: true, maxBitrate: 1000 })) : [{ active: true }];
  }

  getParameters(): RTCRtpSendParameters {
    return { transactionId: String(++this.given), encodings: this.encodings.map((encoding) => ({ ...encoding })), codecs: CODECS, headerExtensions: [], rtcp: {} };
  }

  async setParameters(parameters: RTCRtpSendParameters): Promise<void> {
    await Promise.resolve();
    if (this.refusesCodecs && parameters.encodings.some((encoding) => "codec" in encoding)) throw new Error("OperationError");
    if (this.refuses || parameters.transactionId !== String(this.given)) throw new Error("InvalidStateError");
    this.encodings = parameters.encodings;
    this.changes++;
  }

  get active(): string {
    return this.encodings.filter(({ active }) => active).map(({ rid }) => rid ?? "all").join("");
  }
}

const listed = (wanted: string, mid = "1") => [..."qhf"].map((rid) => ({ mid, rid, wanted: wanted.includes(rid) }));
const only = (layers: LayerState[]) => ({ layers, codecs: [] });
const layers = (wanted: string, mid = "1") => only(listed(wanted, mid));
const inCodec = (payloadType: number, wanted = "qhf") => ({ layers: listed(wanted), codecs: [{ mid: "1", payloadType }, { mid: "2", payloadType }] });
const made = (...senders: [string | null, FakeSender][]) => new SentLayers({ getTransceivers: () => senders.map(([mid, sender]) => ({ mid, sender })) });

test("only the layers that somebody takes are sent", async () => {
  const camera = new FakeSender("q", "h", "f");
  const screen = new FakeSender();
  const sent = made(["1", camera], ["2", screen], [null, new FakeSender("q")]);
  await sent.follow(layers("f"));
  expect([camera.active, screen.active]).toEqual(["f", "all"]);
  expect(camera.encodings[2]).toEqual({ rid: "f", active: true, maxBitrate: 1000 });
  await sent.follow(layers("qf"));
  expect(camera.active).toBe("qf");
  await sent.follow(layers(""));
  expect(camera.active).toBe("");
});

test("what is said in one breath is followed to the last, and what stays as it is costs nothing", async () => {
  const camera = new FakeSender("q", "h", "f");
  const sent = made(["1", camera]);
  await Promise.all([sent.follow(layers("q")), sent.follow(layers("qh")), sent.follow(layers("qh"))]);
  expect(camera.active).toBe("qh");
  expect(camera.changes).toBe(1);
  await sent.follow(layers("qh"));
  expect(camera.changes).toBe(1);
});

test("a layer that is not named is sent, and so is a picture without layers that somebody takes", async () => {
  const camera = new FakeSender("q", "x");
  const plain = new FakeSender();
  const sent = made(["1", camera], ["2", plain]);
  await sent.follow(only([...listed(""), { mid: "2", rid: "", wanted: false }]));
  expect([camera.active, plain.active]).toEqual(["x", ""]);
  await sent.follow(only([...listed(""), { mid: "2", rid: "", wanted: true }]));
  expect(plain.active).toBe("all");
});

test("a browser that refuses goes on sending, and is asked again the next time", async () => {
  const camera = new FakeSender("q", "h", "f");
  const sent = made(["1", camera]);
  camera.refuses = true;
  await sent.follow(layers("f"));
  expect(camera.active).toBe("qhf");
  camera.refuses = false;
  await sent.follow(layers("f"));
  expect(camera.active).toBe("f");
});

/** The codecs and modes of what a sender sends. */
const sentIn = (sender: FakeSender) =>
  sender.encodings
    .filter(({ active }) => active)
    .map((encoding) => {
      const { rid, codec, scalabilityMode } = encoding as { rid?: string; codec?: { mimeType: string }; scalabilityMode?: string };
      return [rid, codec?.mimeType, scalabilityMode];
    });

test("a camera goes over to another codec with the layers that are taken, and back", async () => {
  const camera = new FakeSender("q", "h", "f");
  const screen = new FakeSender();
  const sent = made(["1", camera], ["2", screen]);
  await sent.follow(inCodec(96));
  // What browsers begin with: there is nothing to be changed.
  expect([camera.changes, screen.changes]).toEqual([0, 0]);
  await sent.follow(inCodec(98, "q"));
  expect(sentIn(camera)).toEqual([["q", "video/VP9", "L1T3"]]);
  expect(sentIn(screen)).toEqual([[undefined, "video/VP9", "L1T3"]]);
  await sent.follow(inCodec(98, ""));
  expect(sentIn(camera)).toEqual([]);
  await sent.follow(inCodec(96, "qf"));
  expect(sentIn(camera)).toEqual([["q", "video/VP8", undefined], ["f", "video/VP8", undefined]]);
  await sent.follow(inCodec(102, "qf"));
  expect(sentIn(camera)).toEqual([["q", "video/H264", undefined], ["f", "video/H264", undefined]]);
});

test("a codec that is not this line's own changes nothing, and a browser that cannot change it follows the layers", async () => {
  const [camera, older] = [new FakeSender("q", "h", "f"), new FakeSender("q", "h", "f")];
  older.refusesCodecs = true;
  await made(["1", camera]).follow(inCodec(35, "f"));
  await made(["1", older]).follow(inCodec(98, "f"));
  expect([sentIn(camera), sentIn(older)]).toEqual([[["f", undefined, undefined]], [["f", undefined, undefined]]]);
});
