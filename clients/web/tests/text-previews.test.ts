import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { LinkPreview, Message, ParleyClient } from "../src/index.js";
import { badField, reason } from "../src/testing/details.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const URL = "https://news.example/a";
const PREVIEW: LinkPreview = { url: URL, title: "It rains", description: "And it pours", siteName: "The News" };
const LINK = { offset: 0, length: URL.length, kind: "link", url: URL } as const;
const first = (client: ParleyClient): Message | undefined => client.messaging.store.get(ROOM)?.messages[0];
const previewOf = (client: ParleyClient): LinkPreview | undefined => {
  const content = first(client)?.content;
  return content?.kind === "text" ? content.preview : undefined;
};

describe("previews of links", () => {
  const world = useWorld();

  async function pair(): Promise<[ParleyClient, ParleyClient]> {
    world.backend.openDirect("alice", "bob");
    const both = [world.client("alice"), world.client("bob")] as [ParleyClient, ParleyClient];
    await until("both are ready", () => both.every(({ messaging, stream }) => messaging.ready && stream.kind === "live"));
    return both;
  }

  test("one goes with its text to the other side", async () => {
    const [alice, bob] = await pair();
    alice.messaging.send(ROOM, { text: URL, entities: [LINK], preview: PREVIEW });
    expect(alice.messaging.store.get(ROOM)?.outgoing[0]?.preview).toEqual(PREVIEW);
    await until("it is there", () => first(bob) !== undefined);
    expect(previewOf(bob)).toMatchObject(PREVIEW);
  });

  test("an edit takes it away, or brings one", async () => {
    const [alice] = await pair();
    alice.messaging.send(ROOM, { text: URL, entities: [LINK], preview: PREVIEW });
    await until("it is there", () => first(alice) !== undefined);
    await alice.messaging.edit(ROOM, 1, `${URL} again`, [LINK]);
    expect(previewOf(alice)).toBeUndefined();
    await alice.messaging.edit(ROOM, 1, URL, [LINK], PREVIEW);
    expect(previewOf(alice)).toMatchObject(PREVIEW);
  });

  test("one goes with a text that waits for its time", async () => {
    const [alice] = await pair();
    await alice.scheduled.schedule(ROOM, { text: URL, entities: [LINK], preview: PREVIEW }, Date.now() + 60_000);
    expect(alice.scheduled.of(ROOM)[0]?.content).toMatchObject({ preview: PREVIEW });
  });

  test("a preview that the service does not take is left out, and the text goes", async () => {
    const [alice] = await pair();
    const sent = world.backend.requests;
    world.backend.faults.set("sendMessage", badField(reason(new ConnectError("no", Code.InvalidArgument), "FIELD_INVALID"), "text.preview.title"));
    alice.messaging.send(ROOM, { text: URL, preview: PREVIEW });
    await until("it was tried once more, and no oftener", () => alice.messaging.store.get(ROOM)?.outgoing[0]?.state === "failed");
    expect(sent["sendMessage"]).toBe(2);
  });
});
