import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { UNKNOWN_LIMITS } from "../src/core/limits.js";
import { LimitsSchema } from "../src/gen/parley/messaging/v1/relations_pb.js";
import { create } from "@bufbuild/protobuf";
import { readLimits } from "../src/wire-relations.js";
import { until, useWorld } from "./support.js";

const ROOM = "alice+bob";

describe("limits", () => {
  const world = useWorld();

  test("are the service's", async () => {
    world.backend.limits = create(LimitsSchema, { ...world.backend.limits, textChars: 12, attachments: 2, uploadBytes: 5n });
    const alice = world.client("alice");
    await until("they are told", () => alice.limits.textChars === 12);
    world.backend.openDirect("alice", "bob");
    const files = ["a", "b", "c"].map((name) => ({ name: `${name}.txt`, contentType: "text/plain", body: new Blob([name]) }));
    expect(alice.uploads.add(ROOM, files)?.line).toBe("At most 2 files go with one message.");
    expect(alice.uploads.of(ROOM)).toHaveLength(2);
    alice.uploads.close();
    alice.uploads.add(ROOM, [{ name: "long.txt", contentType: "text/plain", body: new Blob(["too long"]) }]);
    expect(alice.uploads.of(ROOM)[0]?.problem?.line).toContain("At most 5 bytes");
  });

  test("do not stand in the way while they are not known", async () => {
    world.backend.faults.set("getSettings", new ConnectError("down", Code.Unavailable));
    const alice = world.client("alice");
    await until("the list is there", () => alice.messaging.ready);
    expect(alice.limits).toEqual(UNKNOWN_LIMITS);
    expect(alice.uploads.add(ROOM, [{ name: "a.txt", contentType: "text/plain", body: new Blob(["a"]) }])).toBeUndefined();
  });

  test("that a service does not tell are not known", () => {
    expect(readLimits(undefined)).toEqual(UNKNOWN_LIMITS);
    expect(readLimits(create(LimitsSchema, { textChars: 7 }))).toEqual({ ...UNKNOWN_LIMITS, textChars: 7 });
  });
});
