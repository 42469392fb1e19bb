/** The public API as its OpenAPI document tells it: operations, their fields, and a request to begin with. */

export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: Schema;
  readonly description?: string;
}

interface Described {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: { readonly "application/json": { readonly schema: Schema } } };
  readonly responses: { readonly "200": { readonly content: Readonly<Record<string, unknown>> } };
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export type Place = "path" | "query" | "body";

export interface Field {
  readonly name: string;
  readonly place: Place;
  readonly schema: Schema;
  readonly type: string;
  readonly description: string;
}

export interface Operation {
  readonly id: string;
  readonly service: string;
  /** In upper case. */
  readonly method: string;
  /** With braces around what stands in for a field. */
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  readonly fields: readonly Field[];
  /** An answer that goes on: server-sent events. */
  readonly isStream: boolean;
}

/** All operations in the order of the document. */
export function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      id: described.operationId,
      service: described.tags[0] ?? "",
      method: method.toUpperCase(),
      path,
      summary: described.summary,
      description: described.description,
      fields: fieldsOf(described, document),
      isStream: "text/event-stream" in described.responses["200"].content,
    })),
  );
}

function fieldsOf(described: Described, document: Document): Field[] {
  const parameters = described.parameters.flatMap(({ name, in: place, schema, description }) =>
    place === "path" || place === "query" ? [field(name, place, { ...schema, description: description ?? schema.description ?? "" }, document)] : [],
  );
  const body = described.requestBody?.content["application/json"].schema;
  const properties = body ? (resolved(body, document).properties ?? {}) : {};
  return [...parameters, ...Object.entries(properties).map(([name, schema]) => field(name, "body", schema, document))];
}

function field(name: string, place: Place, schema: Schema, document: Document): Field {
  return { name, place, schema, type: typeOf(schema, document), description: schema.description ?? resolved(schema, document).description ?? "" };
}

/** What a reference leads to. */
export function resolved(schema: Schema, document: Document): Schema {
  const name = schema.$ref?.split("/").at(-1);
  return (name && document.components.schemas[name]) || schema;
}

function typeOf(schema: Schema, document: Document): string {
  if (schema.items) return `list of ${typeOf(schema.items, document)}`;
  const name = schema.$ref?.split("/").at(-1);
  const values = resolved(schema, document).enum;
  if (values) return values.join(" | ");
  return name ?? [schema.type ?? "object", schema.format].filter(Boolean).join(", ");
}

/** What a sensible request says in a field of this name, wherever it stands. */
const SENSIBLE: Readonly<Record<string, unknown>> = {
  peerUserId: "bob",
  title: "Hike",
  userIds: ["bob"],
  query: "hello",
  emoji: "👍",
  present: true,
  typing: true,
  pinned: true,
  seq: "1",
};
/** Fields that hold more than they need, by operation; in place of the rest of the body. */
const SENSIBLE_BODIES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  SendMessage: { text: { text: "Hello from the playground" } },
  EditMessage: { text: { text: "Hello again" } },
};
/** What makes a request idempotent: one of its own for each. */
const KEY = /^client\w+Id$/;

/**
 * A request to begin with: what stands in the path, and of the rest what a table knows something sensible for. `known`: values
 * of earlier answers by field name; `newId` makes a key.
 */
export function beginning(operation: Operation, known: ReadonlyMap<string, string>, newId: () => string): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  const body = SENSIBLE_BODIES[operation.id];
  for (const { name, place } of operation.fields) {
    if (KEY.test(name)) made[name] = newId();
    else if (known.has(name) && (place === "path" || name === "deviceId" || name === "callId")) made[name] = known.get(name);
    else if (body && place === "body") continue;
    else if (name in SENSIBLE) made[name] = SENSIBLE[name];
    else if (place === "path") made[name] = "";
  }
  return { ...made, ...body };
}

/** Ids that an answer tells, by the field that wants them: the conversation or call that one has just made is the next one's. */
export function idsOf(answer: unknown): Map<string, string> {
  const found = new Map<string, string>();
  const look = (value: unknown, depth: number): void => {
    if (typeof value !== "object" || value === null || depth > 4) return;
    for (const [name, inner] of Object.entries(value)) {
      if (typeof inner === "string" && (name === "conversationId" || name === "callId" || name === "seq") && !found.has(name)) found.set(name, inner);
      else look(inner, depth + 1);
    }
  };
  look(answer, 0);
  return found;
}
