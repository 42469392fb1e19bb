import type { Client } from "@connectrpc/connect";
import type { CallsService } from "./gen/parley/calls/v1/service_pb.js";
import type { GatewayService } from "./gen/parley/gateway/v1/service_pb.js";
import type { DeviceKeysService } from "./gen/parley/keys/v1/service_pb.js";
import type { AccountService } from "./gen/parley/messaging/v1/accounts_pb.js";
import type { AttachmentsService } from "./gen/parley/messaging/v1/attachments_pb.js";
import type { RelationsService } from "./gen/parley/messaging/v1/relations_pb.js";
import type { ScheduledMessagesService } from "./gen/parley/messaging/v1/scheduled_pb.js";
import type { MessagingService } from "./gen/parley/messaging/v1/service_pb.js";
import type { NotificationsService } from "./gen/parley/notifications/v1/service_pb.js";
import type { PresenceService } from "./gen/parley/presence/v1/service_pb.js";
import { readFailure } from "./errors.js";
import { GrpcWeb, type Interceptor, type RequestOptions } from "./grpc-web.js";
import type { Message } from "./codec.js";
import { methodsOf, type ServiceMethod, type ServiceName } from "./services.js";
import type { TokenCache } from "./tokens.js";

/** Unary calls that take longer have failed. Raising it keeps people waiting; lowering it fails slow mobile networks. */
const UNARY_TIMEOUT_MS = 10_000;

/** Parley's public services. */
export interface Api {
  readonly messaging: Client<typeof MessagingService>;
  readonly relations: Client<typeof RelationsService>;
  readonly attachments: Client<typeof AttachmentsService>;
  readonly scheduled: Client<typeof ScheduledMessagesService>;
  readonly account: Client<typeof AccountService>;
  readonly presence: Client<typeof PresenceService>;
  readonly gateway: Client<typeof GatewayService>;
  readonly calls: Client<typeof CallsService>;
  readonly keys: Client<typeof DeviceKeysService>;
  readonly notifications: Client<typeof NotificationsService>;
}

/** The services over gRPC-Web, with the bearer token on every request. */
export function createWebApi(baseUrl: string, tokens: TokenCache): Api {
  const web = new GrpcWeb(baseUrl, UNARY_TIMEOUT_MS, authorize(tokens));
  // The tables have the methods; protoc-gen-es has their types.
  const client = <S>(service: ServiceName): S => clientOf(service, web) as S;
  return {
    messaging: client("parley.messaging.v1.MessagingService"),
    relations: client("parley.messaging.v1.RelationsService"),
    attachments: client("parley.messaging.v1.AttachmentsService"),
    scheduled: client("parley.messaging.v1.ScheduledMessagesService"),
    account: client("parley.messaging.v1.AccountService"),
    presence: client("parley.presence.v1.PresenceService"),
    gateway: client("parley.gateway.v1.GatewayService"),
    calls: client("parley.calls.v1.CallsService"),
    keys: client("parley.keys.v1.DeviceKeysService"),
    notifications: client("parley.notifications.v1.NotificationsService"),
  };
}

function clientOf(service: ServiceName, web: GrpcWeb): unknown {
  const ask = (method: ServiceMethod) => (message: Message, options?: RequestOptions) => (method.isStream ? web.stream(method, message, options) : web.unary(method, message, options));
  return Object.fromEntries(methodsOf(service).map((method) => [method.localName, ask(method)]));
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
