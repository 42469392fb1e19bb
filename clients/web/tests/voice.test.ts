import { beforeEach, expect, test } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import { TransferError } from "../src/object-upload.js";
import type { Put } from "../src/object-upload.js";
import { VoiceMessages } from "../src/voice.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const world = useWorld();
const SOUND = { body: new Blob(["OggS and so on"], { type: "audio/ogg; codecs=opus" }), lengthS: 2.5, waveform: Uint8Array.of(0, 128, 255) };

beforeEach(() => void world.backend.openDirect("alice", "bob"));

/** The part by itself, with a store of the test's. */
function voices(put: Put = world.backend.files.put): VoiceMessages {
  return new VoiceMessages(world.backend.apiFor("alice"), put, { receive: () => undefined, setRequest: () => undefined }, () => ({}));
}

test("a voice message goes with its sound, and the other can hear it once", async () => {
  const [alice, bob] = [world.client("alice"), world.client("bob")];
  await until("they are in sync", () => alice.current && bob.current);
  await alice.voice.send(ROOM, { ...SOUND, viewOnce: true });
  const heard = () => bob.messaging.store.get(ROOM)?.messages[0];
  await until("bob has it", () => heard() !== undefined);
  expect(heard()).toMatchObject({ viewOnce: true, content: { kind: "voice", lengthS: 2.5 }, attachments: [{ contentType: "audio/ogg" }] });
  expect(await bob.downloads.openOnce(ROOM, 1)).toContain(heard()?.attachments[0]?.id);
  await expect(bob.downloads.openOnce(ROOM, 1)).rejects.toBeDefined();
});

test("sent again after a lost answer it is stored once, and its sound goes up once", async () => {
  const part = voices();
  world.backend.faults.set("sendMessage", new ConnectError("gone", Code.Unavailable));
  await expect(part.send(ROOM, SOUND, "v")).rejects.toMatchObject({ transient: true });
  world.backend.faults.clear();
  await part.send(ROOM, SOUND, "v");
  await part.send(ROOM, SOUND, "v");
  expect(world.backend.stored(ROOM).messages).toHaveLength(1);
  expect(world.backend.requests["createUpload"]).toBe(2);
});

test("what the store says is told; what it has already is well", async () => {
  const answers = (status: number): Put => () => Promise.reject(new TransferError(status));
  await expect(voices(answers(0)).send(ROOM, SOUND)).rejects.toMatchObject({ key: "file_not_sent" });
  await expect(voices(answers(403)).send(ROOM, SOUND)).rejects.toMatchObject({ key: "file_not_accepted" });
  await voices(answers(412)).send(ROOM, SOUND);
  expect(world.backend.stored(ROOM).messages).toHaveLength(1);
});
