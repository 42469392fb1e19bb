// A peer of another stack (werift), without simulcast. It speaks in lines of JSON: takes what to send, gives its offer,
// takes the answer, and then tells twice a second what has come. It ends with its input.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const { MediaStreamTrack, RTCPeerConnection, RtpHeader, RtpPacket, useAudioLevelIndication, useSdesMid } = require("werift");

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const tell = (facts) => console.log(JSON.stringify(facts));

const { audio, video, named, direction } = await read();
const pc = new RTCPeerConnection({
  iceAdditionalHostAddresses: ["127.0.0.1"],
  iceServers: [],
  bundlePolicy: "max-bundle",
  headerExtensions: named ? { audio: [useSdesMid(), useAudioLevelIndication()], video: [useSdesMid()] } : {},
});
const voice = new MediaStreamTrack({ kind: "audio" });
const picture = new MediaStreamTrack({ kind: "video" });
const microphone = pc.addTransceiver(voice, { direction });
const camera = pc.addTransceiver(picture, { direction });

const facts = { state: "new", audio: 0, video: 0, keyFrames: 0, requests: 0, maps: 0 };
for (const kind of ["audio", "video"]) {
  const own = kind === "audio" ? microphone : camera;
  const slot = direction === "sendrecv" ? own : pc.addTransceiver(kind, { direction: "recvonly" });
  slot.onTrack.subscribe((track) =>
    track.onReceiveRtp.subscribe((packet) => {
      facts[kind] += 1;
      // VP8's descriptor: the start of a frame's first partition, and then that it is a key frame.
      const at = kind === "video" && packet.payload[0] & 0x10 ? descriptorSize(packet.payload) : 0;
      if (at && !(packet.payload[at] & 1)) facts.keyFrames += 1;
    }),
  );
}
camera.sender.onPictureLossIndication.subscribe(() => (facts.requests += 1));
const channel = pc.createDataChannel("parley", { negotiated: true, id: 0 });
channel.onmessage = () => (facts.maps += 1);

await pc.setLocalDescription(await pc.createOffer());
tell({ offer: pc.localDescription.sdp });
const { answer } = await read();
await pc.setRemoteDescription({ type: "answer", sdp: answer });

function descriptorSize(payload) {
  if (!(payload[0] & 0x80)) return 1;
  const flags = payload[1];
  const number = flags & 0x80 ? (payload[2] & 0x80 ? 2 : 1) : 0;
  return 2 + number + (flags & 0x40 ? 1 : 0) + (flags & 0x30 ? 1 : 0);
}

/** Sends units of packets over and over, each at its time. */
function send(track, units, everyMs, clockRate) {
  let number = 1;
  let turn = 0;
  return setInterval(() => {
    if (pc.connectionState !== "connected") return;
    const payloads = units[turn % units.length];
    payloads.forEach((payload, place) => {
      const header = new RtpHeader({ sequenceNumber: number++ & 0xffff, timestamp: (turn * everyMs * clockRate) / 1000, payloadType: 96, marker: place === payloads.length - 1 });
      track.writeRtp(new RtpPacket(header, Buffer.from(payload, "base64")));
    });
    turn += 1;
  }, everyMs);
}

send(voice, audio, 20, 48000);
send(picture, video, 100, 90000);
setInterval(() => tell({ ...facts, state: pc.connectionState }), 500);
await lines.next();
process.exit(0);
