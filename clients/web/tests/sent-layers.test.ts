import { expect, test } from "vitest";
import { SentLayers } from "../src/sent-layers.js";

/** As browsers have it: parameters are good for one `setParameters`, and that takes its time. */
class FakeSender {
  encodings: RTCRtpEncodingParameters[];
  changes = 0;
  refuses = false;
  private given = 0;

  constructor(...rids: string[]) {
    this.encodings = rids.length > 0 ? rids.map((rid) => ({ rid, active: true, maxBitrate: 1000 })) : [{ active: true }];
  }

  getParameters(): RTCRtpSendParameters {
    return { transactionId: String(++this.given), encodings: this.encodings.map((encoding) => ({ ...encoding })), codecs: [], headerExtensions: [], rtcp: {} };
  }

  async setParameters(parameters: RTCRtpSendParameters): Promise<void> {
    await Promise.resolve();
    if (this.refuses || parameters.transactionId !== String(this.given)) throw new Error("InvalidStateError");
    this.encodings = parameters.encodings;
    this.changes++;
  }

  get active(): string {
    return this.encodings.filter(({ active }) => active).map(({ rid }) => rid ?? "all").join("");
  }
}

const layers = (wanted: string, mid = "1") => [..."qhf"].map((rid) => ({ mid, rid, wanted: wanted.includes(rid) }));
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
  await sent.follow([...layers(""), { mid: "2", rid: "", wanted: false }]);
  expect([camera.active, plain.active]).toEqual(["x", ""]);
  await sent.follow([...layers(""), { mid: "2", rid: "", wanted: true }]);
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
