import { create, type DescField, type DescMessage, fromBinary, type Message as EsMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { decode, encode, type Message } from "../src/codec.js";
import { CallsService } from "../src/gen/parley/calls/v1/service_pb.js";
import { GatewayService } from "../src/gen/parley/gateway/v1/service_pb.js";
import { DeviceKeysService } from "../src/gen/parley/keys/v1/service_pb.js";
import { AccountService } from "../src/gen/parley/messaging/v1/accounts_pb.js";
import { AttachmentsService } from "../src/gen/parley/messaging/v1/attachments_pb.js";
import { RelationsService } from "../src/gen/parley/messaging/v1/relations_pb.js";
import { ScheduledMessagesService } from "../src/gen/parley/messaging/v1/scheduled_pb.js";
import { MessagingService } from "../src/gen/parley/messaging/v1/service_pb.js";
import { NotificationsService } from "../src/gen/parley/notifications/v1/service_pb.js";
import { PresenceService } from "../src/gen/parley/presence/v1/service_pb.js";
import { PLACES } from "../src/gen/wire-tables.js";
import { methodsOf, type ServiceName } from "../src/services.js";

const SERVICES = [CallsService, DeviceKeysService, GatewayService, AccountService, AttachmentsService, MessagingService, RelationsService, ScheduledMessagesService, NotificationsService, PresenceService];
const places = PLACES();

/** All messages that the services need, by name, as protobuf-es knows them. */
const schemas = new Map<string, DescMessage>();
const collect = (message: DescMessage): void => {
  if (schemas.has(message.typeName)) return;
  schemas.set(message.typeName, message);
  for (const field of message.fields) if (field.message) collect(field.message);
};
for (const service of SERVICES) for (const { input, output } of service.methods) [input, output].forEach(collect);

/** Numbers between 0 and 1, the same in every run (Park and Miller). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

const TEXTS = ["", "a", "Grüße 🙂", "\u0000", "x".repeat(300)];
const SCALARS: Partial<Record<ScalarType, readonly unknown[]>> = {
  [ScalarType.STRING]: TEXTS,
  [ScalarType.BYTES]: [new Uint8Array(), Uint8Array.from([0, 255, 7])],
  [ScalarType.BOOL]: [false, true],
  [ScalarType.INT32]: [0, 1, -1, 2_147_483_647, -2_147_483_648],
  [ScalarType.UINT32]: [0, 1, 4_294_967_295],
  [ScalarType.INT64]: [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
  [ScalarType.UINT64]: [0n, 1n, 2n ** 64n - 1n],
  [ScalarType.DOUBLE]: [0, 1.5, -1e300],
  [ScalarType.FLOAT]: [0, 0.5, -2],
};

/** A message with some of its fields, to a few levels. */
function drawn(schema: DescMessage, next: () => number, depth: number): EsMessage {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)]!;
  const single = (field: DescField): unknown => {
    if (field.message) return drawn(field.message, next, depth - 1);
    if (field.enum) return pick(field.enum.values).number;
    const values = field.scalar === undefined ? undefined : SCALARS[field.scalar];
    if (!values) throw new Error(`no values for ${field.parent.typeName}.${field.name}`);
    return pick(values);
  };
  const init: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (next() < 0.3 || (field.message && depth === 0)) continue;
    if (field.fieldKind === "list") init[field.localName] = Array.from({ length: Math.floor(next() * 4) }, () => single(field));
    else if (field.fieldKind === "map") init[field.localName] = { "content-type": pick(TEXTS), "": "x" };
    else if (field.oneof) init[field.oneof.localName] = { case: field.localName, value: single(field) };
    else init[field.localName] = single(field);
  }
  return create(schema, init);
}

/** As the codec gives it: without names of types, and without what protobuf-es keeps of unknown fields. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith("$")).map(([name, inner]) => [name, plain(inner)]));
}

test("the tables have every message of the services, and no other", () => {
  expect(Object.keys(places).sort()).toEqual([...schemas.keys()].sort());
});

test("the tables have every method of the services", () => {
  for (const service of SERVICES) {
    const expected = service.methods.map(({ name, localName, input, output, methodKind }) => ({
      path: `${service.typeName}/${name}`,
      localName,
      input: places[input.typeName],
      output: places[output.typeName],
      isStream: methodKind === "server_streaming",
    }));
    expect(methodsOf(service.typeName as ServiceName)).toEqual(expected);
  }
});

describe("the codec and protobuf-es", () => {
  test.each([...schemas])("read and write %s alike", (name, schema) => {
    const next = numbers(name.length * 1000 + 7);
    for (let round = 0; round < 30; round++) {
      const message = drawn(schema, next, 3);
      const bytes = toBinary(schema, message);
      expect(plain(decode(places[name]!, bytes))).toEqual(plain(fromBinary(schema, bytes)));
      expect(fromBinary(schema, encode(places[name]!, message as unknown as Message))).toEqual(fromBinary(schema, bytes));
    }
  });

  test("agree on a message that comes in two parts, and on lists of numbers that are not packed", () => {
    for (const [name, schema] of schemas) {
      const next = numbers(11);
      const bytes = Uint8Array.from([...toBinary(schema, drawn(schema, next, 3)), ...toBinary(schema, drawn(schema, next, 3))]);
      expect(plain(decode(places[name]!, bytes))).toEqual(plain(fromBinary(schema, bytes)));
    }
  });

  test("agree on what a newer Parley has added", () => {
    const schema = schemas.get("parley.messaging.v1.Message")!;
    const added = new BinaryWriter().tag(9000, WireType.LengthDelimited).string("new").tag(9001, WireType.Varint).int32(7).finish();
    const bytes = Uint8Array.from([...added, ...toBinary(schema, drawn(schema, numbers(3), 3)), ...added]);
    expect(plain(decode(places[schema.typeName]!, bytes))).toEqual(plain(fromBinary(schema, bytes)));
  });
});

test("a request needs only the fields that it has", () => {
  const name = "parley.messaging.v1.SendMessageRequest";
  const bytes = encode(places[name]!, { conversationId: "c", content: { case: "text", value: { text: "hi" } } });
  expect(fromBinary(schemas.get(name)!, bytes)).toMatchObject({ conversationId: "c", content: { case: "text", value: { text: "hi", entities: [] } } });
});

test("what is cut off or damaged is refused, or read as far as it goes, in the end always", () => {
  const schema = schemas.get("parley.messaging.v1.SyncResponse")!;
  const next = numbers(5);
  const bytes = toBinary(schema, drawn(schema, next, 4));
  let refused = 0;
  for (let round = 0; round < 500; round++) {
    const damaged = bytes.slice(0, Math.floor(next() * bytes.length));
    if (damaged.length > 0) damaged[Math.floor(next() * damaged.length)] = Math.floor(next() * 256);
    try {
      decode(places[schema.typeName]!, damaged);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(0);
});

test("a name of a header cannot reach the prototype", () => {
  const name = "parley.messaging.v1.CreateUploadResponse";
  const bytes = toBinary(schemas.get(name)!, create(schemas.get(name)!, { headers: JSON.parse('{"__proto__": "x", "a": "b"}') as Record<string, string> }));
  expect(decode(places[name]!, bytes).headers).toEqual({ a: "b" });
});
