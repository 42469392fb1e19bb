import { expect, test } from "vitest";
import { withStereo } from "../src/core/stereo.js";

const line = (kind: string, ...attributes: string[]) => [`m=${kind} 9 UDP/TLS/RTP/SAVPF 111 63`, ...attributes, ""].join("\r\n");
const OPUS = ["a=rtpmap:111 opus/48000/2", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"];
const own = "a=fmtp:111 minptime=10;useinbandfec=1";
const session = "v=0\r\ns=-\r\n";
const parts = (sdp: string) => sdp.split(/^(?=m=)/m);

test("the sound of a screen is offered in stereo, sent and received, and nothing else is changed", () => {
  const voice = line("audio", ...OPUS, own);
  const video = line("video", "a=rtpmap:96 VP8/90000");
  const sdp = [session, voice, video, voice, voice].join("");
  expect(parts(withStereo(sdp, { sent: 2, received: 3 }))).toEqual([
    session,
    voice,
    video,
    line("audio", ...OPUS, `${own};stereo=1;sprop-stereo=1`),
    line("audio", ...OPUS, `${own};stereo=1`),
  ]);
});

test("what a browser offers by itself stays, and a line without parameters gets some", () => {
  const firefox = line("audio", "a=rtpmap:109 opus/48000/2", "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1");
  const bare = line("audio", "a=rtpmap:111 OPUS/48000/2");
  expect(parts(withStereo(session + firefox + bare, { sent: 1, received: 0 }))).toEqual([
    session,
    firefox,
    line("audio", "a=rtpmap:111 OPUS/48000/2", "a=fmtp:111 stereo=1;sprop-stereo=1"),
  ]);
});

test("lines without Opus, or that are not there, are passed over", () => {
  const video = line("video", "a=rtpmap:96 VP8/90000");
  expect(withStereo(session + video, { sent: 0, received: 7 })).toBe(session + video);
  expect(withStereo("", { sent: 0, received: 1 })).toBe("");
});
