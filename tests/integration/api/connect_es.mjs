// A client of other make: connect-es, with no code of ours and none generated, only the protos' descriptors.
// node connect_es.mjs ADDRESS DESCRIPTORS PROTOCOL < {"alice": token, "bob": token, "bobId": id}
// Tells in one line of JSON what it saw.
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

const [address, descriptors, protocol] = process.argv.slice(2);
const { alice, bob, bobId } = JSON.parse(readFileSync(0, "utf8"));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
// The details of errors are of google.rpc: two fields of strings, read by hand.
const transports = {
  "connect+json": () => createConnectTransport({ baseUrl: address, useBinaryFormat: false }),
  "connect+proto": () => createConnectTransport({ baseUrl: address, useBinaryFormat: true }),
  "grpc-web": () => createGrpcWebTransport({ baseUrl: address }),
};
const transport = transports[protocol]();
const service = (name) => createClient(registry.getService(name), transport);
const as = (token) => ({ headers: { authorization: `Bearer ${token}` } });
const messaging = service("parley.messaging.v1.MessagingService");
const gateway = service("parley.gateway.v1.GatewayService");

async function refusal(call) {
  try {
    await call();
    return null;
  } catch (error) {
    const { code, details } = ConnectError.from(error);
    const info = details.find((detail) => detail.type === "google.rpc.ErrorInfo");
    // Field 1 of ErrorInfo.
    const reason = info ? Buffer.from(info.value.subarray(2, 2 + info.value[1])).toString() : "";
    return { code: Code[code], reason };
  }
}

const { conversation } = await messaging.createDirectConversation({ peerUserId: bobId }, as(alice));
const conversationId = conversation.conversationId;
const ending = new AbortController();
const events = gateway.subscribe({ deviceId: "device-of-bob" }, { ...as(bob), signal: ending.signal });
let sent;
const kinds = [];
let heard;
for await (const { event } of events) {
  kinds.push(event.event.case);
  if (event.event.case === "ready") {
    const content = { case: "text", value: { text: `by ${protocol}` } };
    sent = await messaging.sendMessage({ conversationId, clientMessageId: "once", content }, as(alice));
  }
  if (event.event.case === "message") {
    heard = event.event.value.content.value.text;
    break;
  }
}
ending.abort();
const text = (value) => ({ case: "text", value: { text: value } });
const refusals = {
  noToken: await refusal(() => messaging.listConversations({})),
  empty: await refusal(() =>
    messaging.sendMessage({ conversationId, clientMessageId: "empty", content: text("") }, as(alice)),
  ),
  unknown: await refusal(() =>
    messaging.sendMessage({ conversationId: crypto.randomUUID(), clientMessageId: "x", content: text("x") }, as(alice)),
  ),
  badDevice: await refusal(async () => {
    for await (const _ of gateway.subscribe({ deviceId: "x" }, as(bob)));
  }),
};
console.log(JSON.stringify({ seq: String(sent.message.seq), first: kinds[0], heard, refusals }));
process.exit(0);
