import { describe, expect, test } from "vitest";
import { EventParser, pretty } from "../playground/event-stream.js";
import { beginning, type Document, idsOf, type Operation, operationsOf } from "../playground/openapi.js";
import { curlOf, requestOf } from "../playground/request.js";

const JSON_BODY = (name: string) => ({ content: { "application/json": { schema: { $ref: `#/components/schemas/${name}` } } } });
const ANSWER = { "200": { content: { "application/json": {} } } };
const DOCUMENT: Document = {
  paths: {
    "/v1/conversations/{conversationId}/messages": {
      post: {
        operationId: "SendMessage",
        tags: ["MessagingService"],
        summary: "Sends.",
        description: "Sends. Idempotent.",
        parameters: [{ name: "conversationId", in: "path", schema: { type: "string" } }],
        requestBody: JSON_BODY("SendMessageRequest"),
        responses: ANSWER,
      },
      get: {
        operationId: "ListMessages",
        tags: ["MessagingService"],
        summary: "Lists.",
        description: "Lists.",
        parameters: [
          { name: "conversationId", in: "path", schema: { type: "string" } },
          { name: "pageSize", in: "query", schema: { type: "integer" }, description: "1 to 200." },
          { name: "kinds", in: "query", schema: { type: "array", items: { $ref: "#/components/schemas/Kind" } } },
          { name: "Last-Event-ID", in: "header", schema: { type: "string" } },
        ],
        responses: ANSWER,
      },
    },
    "/v1/events": {
      get: {
        operationId: "Subscribe",
        tags: ["GatewayService"],
        summary: "Follows.",
        description: "Follows.",
        parameters: [{ name: "deviceId", in: "query", schema: { type: "string" } }],
        responses: { "200": { content: { "text/event-stream": {} } } },
      },
    },
  },
  components: {
    schemas: {
      SendMessageRequest: {
        type: "object",
        properties: {
          clientMessageId: { type: "string", description: "A key." },
          text: { $ref: "#/components/schemas/TextContent" },
          voice: { $ref: "#/components/schemas/TextContent" },
        },
      },
      TextContent: { type: "object", description: "What one wrote.", properties: { text: { type: "string" } } },
      Kind: { type: "string", enum: ["A", "B"] },
    },
  },
};
const [sending, listing, following] = operationsOf(DOCUMENT) as [Operation, Operation, Operation];
const ID = "0192/ü";

describe("the document", () => {
  test("has operations with their fields, wherever these stand", () => {
    expect([sending.id, sending.method, sending.service, sending.isStream]).toEqual(["SendMessage", "POST", "MessagingService", false]);
    expect(sending.fields.map(({ name, place, type }) => `${name} ${place} ${type}`)).toEqual([
      "conversationId path string",
      "clientMessageId body string",
      "text body TextContent",
      "voice body TextContent",
    ]);
    expect(sending.fields.map(({ description }) => description)).toEqual(["", "A key.", "What one wrote.", "What one wrote."]);
    expect(listing.fields.map(({ name, type }) => `${name}: ${type}`)).toEqual(["conversationId: string", "pageSize: integer", "kinds: list of A | B"]);
    expect(following.isStream).toBe(true);
  });

  test("gives a request to begin with, with a key of its own and what is known already", () => {
    const known = new Map([["conversationId", "c1"], ["deviceId", "d1"]]);
    expect(beginning(sending, known, () => "new")).toEqual({ conversationId: "c1", clientMessageId: "new", text: { text: "Hello from the playground" } });
    expect(beginning(listing, new Map(), () => "new")).toEqual({ conversationId: "" });
    expect(beginning(following, known, () => "new")).toEqual({ deviceId: "d1" });
  });

  test("an answer's ids are those of the next request", () => {
    expect([...idsOf({ message: { conversationId: "c2", seq: "3", reactions: [{ seq: "9" }] }, call: { callId: "k" } })]).toEqual([
      ["conversationId", "c2"],
      ["seq", "3"],
      ["callId", "k"],
    ]);
    expect(idsOf(null).size).toBe(0);
  });
});

describe("a request", () => {
  test("puts each field where it belongs", () => {
    const typed = JSON.stringify({ conversationId: ID, clientMessageId: "k", text: { text: "it's" } });
    expect(requestOf(sending, typed)).toEqual({
      method: "POST",
      path: "/v1/conversations/0192%2F%C3%BC/messages",
      body: '{"clientMessageId":"k","text":{"text":"it\'s"}}',
    });
    const query = JSON.stringify({ conversationId: "c", pageSize: 5, kinds: ["A", "B"] });
    expect(requestOf(listing, query)).toEqual({ method: "GET", path: "/v1/conversations/c/messages?pageSize=5&kinds=A&kinds=B", body: "" });
  });

  test.each([
    ["{", /no JSON/],
    ["[]", /in braces/],
    ["", /needs conversationId/],
    ['{"conversationId": "c", "txt": 1}', /no field txt/],
  ])("that cannot be sent is told: %s", (typed, said) => {
    expect(requestOf(sending, typed)).toMatch(said);
  });

  test("with curl is quoted for a shell, and says who asks", () => {
    const request = requestOf(sending, JSON.stringify({ conversationId: "c", text: { text: "it's" } }));
    const lines = curlOf(request as Exclude<typeof request, string>, "http://x", "o'neil").split("\n");
    expect(lines[0]).toContain(String.raw`-d '{"user_id":"o'\''neil"}'`);
    expect(lines.slice(1)).toEqual([
      "curl -sS \\",
      "  'http://x/v1/conversations/c/messages' \\",
      '  -H "Authorization: Bearer $TOKEN" \\',
      String.raw`  -d '{"text":{"text":"it'\''s"}}'`,
    ]);
    expect(curlOf({ method: "PUT", path: "/v1/x", body: "{}" }, "", "")).toContain("-X PUT");
    expect(curlOf({ method: "GET", path: "/v1/events?deviceId=d", body: "" }, "", "")).toContain("curl -sSN");
  });
});

describe("the stream", () => {
  const STREAM = 'event: ready\nid: a.1\ndata: {"ready":{}}\n\n: beat\n\nevent: message\r\ndata: 1\r\ndata: 2\r\n\r\ndata\n\n';
  const EVENTS = [
    { name: "ready", data: '{"ready":{}}', id: "a.1" },
    { name: "message", data: "1\n2", id: "a.1" },
    { name: "message", data: "", id: "a.1" },
  ];

  test.each([1, 2, 3, 7, 1000])("is read in pieces of %i", (size) => {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < STREAM.length; at += size) events.push(...parser.push(STREAM.slice(at, at + size)));
    expect(events).toEqual(EVENTS);
    expect(parser.comments).toBe(1);
  });

  test("shows JSON for people, and anything else as it is", () => {
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(pretty("<html>")).toBe("<html>");
  });
});
