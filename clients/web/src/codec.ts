import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { MESSAGES } from "./gen/wire-tables.js";

/**
 * Protobuf messages as plain objects, read and written by tables (`codegen/protoc-gen-wire-tables.mjs`).
 *
 * The objects look as those of protobuf-es, whose types they have, without `$typeName`. Fields that the tables do not name,
 * those of a newer Parley, are passed over.
 */
export type Message = Record<string, unknown>;

/** A letter: s string, y bytes, b bool, i int32 and enums, u uint32, l int64, L uint64, d double, f float, m message, M map. */
type Scalar = "s" | "y" | "b" | "i" | "u" | "l" | "L" | "d" | "f";

interface Field {
  readonly name: string;
  readonly number: number;
  readonly kind: Scalar | "m" | "M";
  /** The place of the message that it holds. */
  readonly message: number;
  readonly repeated: boolean;
  /** Absent is not the same as zero. */
  readonly explicit: boolean;
  readonly oneof: string | undefined;
}

interface Codec {
  readonly zero: unknown;
  readonly wireType: WireType;
  read(reader: BinaryReader): unknown;
  write(writer: BinaryWriter, value: never): unknown;
}

const SCALARS: Record<Scalar, Codec> = {
  s: { zero: "", wireType: WireType.LengthDelimited, read: (r) => r.string(), write: (w, v) => w.string(v) },
  y: { zero: new Uint8Array(), wireType: WireType.LengthDelimited, read: (r) => r.bytes(), write: (w, v) => w.bytes(v) },
  b: { zero: false, wireType: WireType.Varint, read: (r) => r.bool(), write: (w, v) => w.bool(v) },
  i: { zero: 0, wireType: WireType.Varint, read: (r) => r.int32(), write: (w, v) => w.int32(v) },
  u: { zero: 0, wireType: WireType.Varint, read: (r) => r.uint32(), write: (w, v) => w.uint32(v) },
  l: { zero: 0n, wireType: WireType.Varint, read: (r) => r.int64(), write: (w, v) => w.int64(v) },
  L: { zero: 0n, wireType: WireType.Varint, read: (r) => r.uint64(), write: (w, v) => w.uint64(v) },
  d: { zero: 0, wireType: WireType.Bit64, read: (r) => r.double(), write: (w, v) => w.double(v) },
  f: { zero: 0, wireType: WireType.Bit32, read: (r) => r.float(), write: (w, v) => w.float(v) },
};

const known = new Map<number, readonly Field[]>();

function fieldsOf(place: number): readonly Field[] {
  const fields = known.get(place) ?? readFields(MESSAGES[place] ?? "");
  known.set(place, fields);
  return fields;
}

function readFields(lines: string): readonly Field[] {
  let last = 0;
  return [...lines.matchAll(/(\w+) (\d*) ?(\*?)(\w)(\d*)(\??) ?(\w*)/g)].map(([, name = "", number, list, kind, message, optional, oneof]) => ({
    name,
    number: (last = Number(number) || last + 1),
    kind: kind as Field["kind"],
    message: Number(message),
    repeated: list === "*",
    explicit: kind === "m" || optional === "?",
    oneof: oneof || undefined,
  }));
}

/** Takes objects in which fields are missing, too. */
export function encode(place: number, message: Message): Uint8Array {
  const writer = new BinaryWriter();
  writeMessage(writer, place, message);
  return writer.finish();
}

/** Throws on what is no message. */
export function decode(place: number, bytes: Uint8Array): Message {
  const reader = new BinaryReader(bytes);
  return readMessage(reader, reader.len, place, {});
}

function writeMessage(writer: BinaryWriter, place: number, message: Message): void {
  for (const field of fieldsOf(place)) {
    const value = valueOf(field, message);
    if (value === undefined) continue;
    if (field.kind === "M") writeMap(writer, field, value as Record<string, string>);
    else if (field.repeated) writeList(writer, field, value as readonly unknown[]);
    else if (field.explicit || field.oneof || !isZero(field.kind as Scalar, value)) writeOne(writer, field, value);
  }
}

function valueOf({ name, oneof }: Field, message: Message): unknown {
  if (!oneof) return message[name] ?? undefined;
  const chosen = message[oneof] as { case?: string; value?: unknown } | undefined;
  return chosen?.case === name ? chosen.value : undefined;
}

function isZero(kind: Scalar, value: unknown): boolean {
  return kind === "y" ? (value as Uint8Array).length === 0 : value === SCALARS[kind].zero;
}

function writeOne(writer: BinaryWriter, { number, kind, message }: Field, value: unknown): void {
  if (kind === "m") {
    writer.tag(number, WireType.LengthDelimited).fork();
    writeMessage(writer, message, value as Message);
    writer.join();
  } else if (kind !== "M") {
    SCALARS[kind].write(writer.tag(number, SCALARS[kind].wireType), value as never);
  }
}

/** Numbers are packed: one after the other behind one tag. */
function writeList(writer: BinaryWriter, field: Field, values: readonly unknown[]): void {
  const codec = SCALARS[field.kind as Scalar] as Codec | undefined;
  if (!codec || codec.wireType === WireType.LengthDelimited) {
    for (const value of values) writeOne(writer, field, value);
  } else if (values.length > 0) {
    writer.tag(field.number, WireType.LengthDelimited).fork();
    for (const value of values) codec.write(writer, value as never);
    writer.join();
  }
}

function writeMap(writer: BinaryWriter, { number }: Field, entries: Record<string, string>): void {
  for (const [key, value] of Object.entries(entries)) {
    writer.tag(number, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(value).join();
  }
}

function readMessage(reader: BinaryReader, end: number, place: number, message: Message): Message {
  const fields = fieldsOf(place);
  for (const field of fields) setBlank(field, message);
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields.find((f) => f.number === number);
    if (!field || !readInto(reader, wireType, field, message)) reader.skip(wireType, number);
  }
  if (reader.pos > end) throw new RangeError("a message that ends within a field");
  return message;
}

/** What a field is that has not been sent. */
function setBlank({ name, kind, repeated, explicit, oneof }: Field, message: Message): void {
  const slot = oneof ?? name;
  if (message[slot] !== undefined) return;
  if (oneof) message[slot] = { case: undefined };
  else if (repeated) message[slot] = [];
  else if (kind === "M") message[slot] = {};
  else if (!explicit && kind !== "m") message[slot] = SCALARS[kind].zero;
}

/** Returns false when what stands there is not of the field's kind. */
function readInto(reader: BinaryReader, wireType: WireType, field: Field, message: Message): boolean {
  const { kind, repeated } = field;
  const isLong = wireType === WireType.LengthDelimited;
  if (kind === "m" || kind === "M") {
    if (!isLong) return false;
    const end = reader.uint32() + reader.pos;
    if (end > reader.len) throw new RangeError("a message that is cut off");
    if (kind === "m") put(field, message, readMessage(reader, end, field.message, repeated ? {} : before(field, message)));
    else readEntry(reader, end, message[field.name] as Record<string, string>);
    return true;
  }
  const codec = SCALARS[kind];
  if (wireType === codec.wireType) put(field, message, codec.read(reader));
  else if (repeated && isLong) {
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end) put(field, message, codec.read(reader));
  } else return false;
  return true;
}

/** A message that comes in parts is put together. */
function before({ name, oneof }: Field, message: Message): Message {
  if (!oneof) return (message[name] as Message | undefined) ?? {};
  const chosen = message[oneof] as { case?: string; value?: unknown };
  return chosen.case === name ? (chosen.value as Message) : {};
}

function put({ name, repeated, oneof }: Field, message: Message, value: unknown): void {
  if (repeated) (message[name] as unknown[]).push(value);
  else if (oneof) message[oneof] = { case: name, value };
  else message[name] = value;
}

function readEntry(reader: BinaryReader, end: number, map: Record<string, string>): void {
  let [key, value] = ["", ""];
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) key = reader.string();
    else if (number === 2 && wireType === WireType.LengthDelimited) value = reader.string();
    else reader.skip(wireType, number);
  }
  // A key of that name would not be an entry.
  if (key !== "__proto__") map[key] = value;
}
