import type { Client, Interceptor, Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { CallsService } from "./gen/parley/calls/v1/service_pb.js";
import { GatewayService } from "./gen/parley/gateway/v1/service_pb.js";
import { AccountService } from "./gen/parley/messaging/v1/accounts_pb.js";
import { AttachmentsService } from "./gen/parley/messaging/v1/attachments_pb.js";
import { RelationsService } from "./gen/parley/messaging/v1/relations_pb.js";
import { MessagingService } from "./gen/parley/messaging/v1/service_pb.js";
import { PresenceService } from "./gen/parley/presence/v1/service_pb.js";
import { readFailure } from "./errors.js";
import type { TokenCache } from "./tokens.js";

/** Unary calls that take longer have failed. Raising it keeps people waiting; lowering it fails slow mobile networks. */
const UNARY_TIMEOUT_MS = 10_000;

/** Parley's public services. */
export interface Api {
  readonly messaging: Client<typeof MessagingService>;
  readonly relations: Client<typeof RelationsService>;
  readonly attachments: Client<typeof AttachmentsService>;
  readonly account: Client<typeof AccountService>;
  readonly presence: Client<typeof PresenceService>;
  readonly gateway: Client<typeof GatewayService>;
  readonly calls: Client<typeof CallsService>;
}

/** The services over any transport: gRPC-Web in a page, an in-memory router in tests. */
export function createApi(transport: Transport): Api {
  return {
    messaging: createClient(MessagingService, transport),
    relations: createClient(RelationsService, transport),
    attachments: createClient(AttachmentsService, transport),
    account: createClient(AccountService, transport),
    presence: createClient(PresenceService, transport),
    gateway: createClient(GatewayService, transport),
    calls: createClient(CallsService, transport),
  };
}

/** gRPC-Web in binary framing, with the bearer token on every request. */
export function createWebTransport(baseUrl: string, tokens: TokenCache): Transport {
  return createGrpcWebTransport({
    baseUrl,
    useBinaryFormat: true,
    defaultTimeoutMs: UNARY_TIMEOUT_MS,
    interceptors: [authorize(tokens)],
  });
}

/**
 * Adds the token; a refused one is dropped, so that the next request brings a new one. One that was revoked is kept: a
 * device that was signed out does not sign itself in again.
 */
export function authorize(tokens: TokenCache): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${(await tokens.get()).value}`);
    try {
      return await next(request);
    } catch (error) {
      const failure = readFailure(error);
      if (failure.code === "unauthenticated" && failure.reason !== "TOKEN_REVOKED") tokens.invalidate();
      throw error;
    }
  };
}
