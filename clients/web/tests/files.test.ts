import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { badField, reason } from "../src/testing/details.js";
import type { ParleyClient, PickedFile, Put } from "../src/index.js";
import { ParleyClient as Client, TransferError } from "../src/index.js";
import { contentTypeOf, fileProblem, safeName } from "../src/core/files.js";
import { sizeLine } from "../src/core/sizes.js";
import { userMessage } from "../src/core/user-messages.js";
import { stepUpload, type Upload } from "../src/core/uploads.js";
import { Downloads } from "../src/downloads.js";
import { fakeStorage, until, useWorld } from "./support.js";

const ROOM = "alice+bob";
const text = (name: string, body = "hello"): PickedFile => ({ name, contentType: "text/plain", body: new Blob([body]) });

describe("files before they leave", () => {
  test("what cannot be sent is said in words", () => {
    expect(fileProblem("image/png", 1000, Infinity)).toBeUndefined();
    expect(fileProblem("image/png", 0, 100)?.line).toBe("This file is empty.");
    expect(fileProblem("image/png", 101 * 1024 * 1024, 100 * 1024 * 1024)?.line).toContain("too large. At most 100 MB");
    expect(fileProblem("application/x-msdownload", 10, 100)?.line).toContain("Files of this type cannot be sent");
  });

  test("names and types become what the service takes", () => {
    expect(safeName("a/b\\c\u0000.txt")).toBe("a_b_c.txt");
    expect([...safeName(`${"x".repeat(300)}.txt`)]).toHaveLength(255);
    expect(safeName("")).toBe("file");
    expect(contentTypeOf("Application/X-Zip-Compressed")).toBe("application/zip");
    expect(contentTypeOf("text/plain; charset=utf-8")).toBe("text/plain");
    expect([0, 1, 640 * 1024, 2.5 * 1024 * 1024].map(sizeLine)).toEqual(["0 bytes", "1 byte", "640 kB", "2.5 MB"]);
  });

  test("an upload takes only the inputs that its state has a place for", () => {
    const upload: Upload = { id: "u", fileName: "a", contentType: "text/plain", sizeBytes: 10, width: 0, height: 0, state: "announcing", sentBytes: 0, problem: undefined, attachment: undefined };
    expect(stepUpload(upload, { kind: "progressed", sentBytes: 5 })).toBe(upload);
    const putting = stepUpload(upload, { kind: "announced" });
    const half = stepUpload(putting, { kind: "progressed", sentBytes: 5 });
    expect(stepUpload(half, { kind: "progressed", sentBytes: 3 }).sentBytes).toBe(5);
    expect(stepUpload(half, { kind: "progressed", sentBytes: 50 }).sentBytes).toBe(10);
    const problem = userMessage("file_not_sent");
    const failed = stepUpload(half, { kind: "failed", problem });
    expect(failed).toMatchObject({ state: "failed", sentBytes: 0, problem });
    expect(stepUpload(failed, { kind: "retry" })).toMatchObject({ state: "announcing", problem: undefined });
    expect(stepUpload({ ...upload, state: "refused" }, { kind: "retry" }).state).toBe("refused");
  });
});

describe("files between clients", () => {
  const world = useWorld();
  const uploads = (client: ParleyClient) => client.uploads.of(ROOM);

  /** A client with a store of its own; the world does not stop it. */
  async function ready(put?: Put): Promise<ParleyClient> {
    world.backend.openDirect("alice", "bob");
    const options = { userId: "alice", deviceId: "alices-device", tokens: () => Promise.resolve({ value: "t", userId: "alice", expiresMs: Infinity }) };
    const client = new Client({ ...options, api: world.backend.apiFor("alice"), put: put ?? world.backend.files.put, storage: fakeStorage(), baseUrl: "" });
    client.start();
    world.closing(() => client.stop());
    await until("ready", () => client.messaging.ready);
    return client;
  }

  test("a file goes up, is sent without a text, and is fetched by the other", async () => {
    const alice = await ready();
    const bob = world.client("bob");
    alice.uploads.add(ROOM, [text("notes.txt")]);
    await until("it is there", () => uploads(alice)[0]?.state === "done");
    alice.messaging.send(ROOM, { text: "", attachments: alice.uploads.take(ROOM) });
    expect(uploads(alice)).toEqual([]);
    await until("bob has it", () => bob.messaging.store.get(ROOM)?.messages.length === 1);
    const [attachment] = bob.messaging.store.get(ROOM)?.messages[0]?.attachments ?? [];
    expect(attachment).toMatchObject({ fileName: "notes.txt", sizeBytes: 5 });
    const ref = { conversationId: ROOM, seq: 1, attachmentId: attachment?.id ?? "" };
    expect(await bob.downloads.url(ref)).toContain(ref.attachmentId);
  });

  test("a video that is opened once has its address once, and everybody sees who opened it", async () => {
    const alice = await ready();
    const bob = world.client("bob");
    alice.uploads.add(ROOM, [{ name: "a.webm", contentType: "video/webm", body: new Blob(["a film"]) }]);
    await until("it is there", () => uploads(alice)[0]?.state === "done");
    alice.messaging.send(ROOM, { text: "", attachments: alice.uploads.take(ROOM), viewOnce: true });
    const shown = (client: ParleyClient) => client.messaging.store.get(ROOM)?.messages[0];
    await until("bob has it", () => shown(bob) !== undefined);
    expect(shown(bob)).toMatchObject({ viewOnce: true, openedBy: [] });
    expect(await bob.downloads.openOnce(ROOM, 1)).toContain(shown(bob)?.attachments[0]?.id);
    for (const client of [alice, bob]) await until("it is told", () => shown(client)?.openedBy.join() === "bob");
    await expect(bob.downloads.openOnce(ROOM, 1)).rejects.toBeDefined();
  });

  test("an opening whose answer was lost is asked for again under the same key", async () => {
    const keys: string[] = [];
    const api = world.backend.apiFor("bob");
    const openViewOnce = ({ clientRequestId }: { clientRequestId?: string }) => {
      keys.push(clientRequestId ?? "");
      return keys.length === 1 ? Promise.reject(new ConnectError("gone", Code.Unavailable)) : Promise.resolve({ downloadUrl: "there" });
    };
    const downloads = new Downloads({ ...api, attachments: { ...api.attachments, openViewOnce } } as unknown as typeof api);
    await expect(downloads.openOnce(ROOM, 1)).rejects.toMatchObject({ transient: true });
    expect(await downloads.openOnce(ROOM, 1)).toBe("there");
    await downloads.openOnce(ROOM, 2);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[2]).not.toBe(keys[0]);
  });

  test("an address is asked for once, and anew when it has ended or did not work", async () => {
    const alice = await ready();
    const ref = { conversationId: ROOM, seq: 1, attachmentId: "x" };
    const asked = () => world.backend.requests["getDownload"];
    await Promise.all([alice.downloads.url(ref), alice.downloads.url(ref)]);
    await alice.downloads.url(ref);
    expect(asked()).toBe(1);
    alice.downloads.forget("x");
    await alice.downloads.url(ref);
    expect(asked()).toBe(2);
    const later = Date.now() + 280_000;
    const clock = vi.spyOn(Date, "now").mockReturnValue(later);
    await alice.downloads.url(ref);
    clock.mockRestore();
    expect(asked()).toBe(3);
  });

  test("a lost connection fails the file in words, and a retry sends it under the same id", async () => {
    let broken = true;
    const alice = await ready(async (options) => {
      if (broken) throw new TransferError(0);
      await world.backend.files.put(options);
    });
    alice.uploads.add(ROOM, [text("notes.txt")]);
    await until("it failed", () => uploads(alice)[0]?.state === "failed");
    const id = uploads(alice)[0]?.id ?? "";
    expect(uploads(alice)[0]?.problem?.line).toContain("Check the connection");
    broken = false;
    alice.uploads.retry(id);
    await until("it is there", () => uploads(alice)[0]?.state === "done");
    expect(uploads(alice)[0]?.id).toBe(id);
  });

  test("a file that had arrived after all is not sent twice", async () => {
    const alice = await ready(() => Promise.reject(new TransferError(412)));
    alice.uploads.add(ROOM, [text("notes.txt")]);
    await until("it is there", () => uploads(alice)[0]?.state === "done");
  });

  test("what the service refuses is said in words and is not tried again", async () => {
    const alice = await ready();
    world.backend.faults.set("createUpload", badField(reason(new ConnectError("no", Code.InvalidArgument), "FIELD_INVALID"), "size_bytes"));
    alice.uploads.add(ROOM, [text("notes.txt")]);
    await until("it is refused", () => uploads(alice)[0]?.state === "refused");
    expect(uploads(alice)[0]?.problem?.line).toBe("This file is too large.");
    const asked = world.backend.requests["createUpload"];
    alice.uploads.retry(uploads(alice)[0]?.id ?? "");
    expect(world.backend.requests["createUpload"]).toBe(asked);
  });

  test("a message waits for its files to be scanned, and goes by itself", async () => {
    const alice = await ready();
    alice.uploads.add(ROOM, [text("notes.txt")]);
    await until("it is there", () => uploads(alice)[0]?.state === "done");
    world.backend.faults.set("sendMessage", reason(new ConnectError("wait", Code.FailedPrecondition), "ATTACHMENT_NOT_SCANNED"));
    alice.messaging.send(ROOM, { text: "", attachments: alice.uploads.take(ROOM) });
    const outgoing = () => alice.messaging.store.get(ROOM)?.outgoing[0];
    await until("it says why it waits", () => outgoing()?.problem?.line.includes("being checked") ?? false);
    expect(outgoing()?.state).toBe("sending");
    world.backend.faults.delete("sendMessage");
    await until("it has gone", () => alice.messaging.store.get(ROOM)?.messages.length === 1);
  });

  test("a link that the service does not take for one is sent as the text that it is", async () => {
    const alice = await ready();
    const sent = world.backend.requests;
    world.backend.faults.set("sendMessage", badField(reason(new ConnectError("no", Code.InvalidArgument), "FIELD_INVALID"), "text.entities.link_url"));
    const before = sent["sendMessage"] ?? 0;
    alice.messaging.send(ROOM, { text: "https://a.example", entities: [{ offset: 0, length: 17, kind: "link", url: "https://a.example" }] });
    await until("it was tried once more, and no oftener", () => alice.messaging.store.get(ROOM)?.outgoing[0]?.state === "failed");
    expect((sent["sendMessage"] ?? 0) - before).toBe(2);
  });

  test("what a picture says of where it was made is not put, and its size is what is put", async () => {
    const put: Blob[] = [];
    const alice = await ready(async (options) => {
      put.push(options.body);
      await world.backend.files.put(options);
    });
    const ref = "GPS 52.52 13.405";
    const gif = new Blob([Uint8Array.of(...[..."GIF89a"].map((c) => c.charCodeAt(0)), 1, 0, 1, 0, 0, 0, 0, 0x21, 0xfe, ref.length), ref, Uint8Array.of(0, 0x3b)]);
    alice.uploads.add(ROOM, [{ name: "a.gif", contentType: "image/gif", body: gif }, { name: "b.png", contentType: "image/png", body: new Blob(["MZ"]) }]);
    await until("both have been looked at", () => uploads(alice)[0]?.state === "done" && uploads(alice)[1]?.state === "refused");
    expect(await put[0]?.text()).not.toContain(ref);
    expect(uploads(alice)[0]?.sizeBytes).toBe(put[0]?.size);
    expect(put).toHaveLength(1);
  });

  test("cancelling ends the transfer and lets the next one begin", async () => {
    const running: AbortSignal[] = [];
    const alice = await ready(
      ({ signal }) =>
        new Promise((_, reject) => {
          running.push(signal);
          signal.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
        }),
    );
    alice.uploads.add(ROOM, ["a", "b", "c", "d"].map((name) => text(name)));
    await until("three go up at once", () => running.length === 3);
    alice.uploads.cancel(uploads(alice)[0]?.id ?? "");
    await until("the fourth begins", () => running.length === 4);
    expect(running.map((signal) => signal.aborted)).toEqual([true, false, false, false]);
    expect(uploads(alice).map((upload) => upload.fileName)).toEqual(["b", "c", "d"]);
  });

  test("at most ten go with one message, and an unfit one says why at once", async () => {
    const alice = await ready();
    const told = alice.uploads.add(ROOM, Array.from({ length: 12 }, (_, i) => text(`${i}.txt`)));
    expect(told).toEqual({ key: "too_many_files", values: { count: 10 }, line: "At most 10 files go with one message." });
    expect(uploads(alice)).toHaveLength(10);
    alice.uploads.add("elsewhere", [{ name: "x.exe", contentType: "application/x-msdownload", body: new Blob(["x"]) }]);
    expect(alice.uploads.of("elsewhere")[0]).toMatchObject({ state: "refused" });
  });
});
