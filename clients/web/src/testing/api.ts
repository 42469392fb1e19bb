import type { Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import type { Api } from "../api.js";
import { CallsService } from "../gen/parley/calls/v1/service_pb.js";
import { GatewayService } from "../gen/parley/gateway/v1/service_pb.js";
import { DeviceKeysService } from "../gen/parley/keys/v1/service_pb.js";
import { AccountService } from "../gen/parley/messaging/v1/accounts_pb.js";
import { AttachmentsService } from "../gen/parley/messaging/v1/attachments_pb.js";
import { RelationsService } from "../gen/parley/messaging/v1/relations_pb.js";
import { ScheduledMessagesService } from "../gen/parley/messaging/v1/scheduled_pb.js";
import { MessagingService } from "../gen/parley/messaging/v1/service_pb.js";
import { NotificationsService } from "../gen/parley/notifications/v1/service_pb.js";
import { PresenceService } from "../gen/parley/presence/v1/service_pb.js";

/** The services over a transport of Connect: an in-memory router, or another protocol. */
export function createApi(transport: Transport): Api {
  return {
    messaging: createClient(MessagingService, transport),
    relations: createClient(RelationsService, transport),
    attachments: createClient(AttachmentsService, transport),
    scheduled: createClient(ScheduledMessagesService, transport),
    account: createClient(AccountService, transport),
    presence: createClient(PresenceService, transport),
    gateway: createClient(GatewayService, transport),
    calls: createClient(CallsService, transport),
    keys: createClient(DeviceKeysService, transport),
    notifications: createClient(NotificationsService, transport),
  };
}
