import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { RequestState } from "../gen/parley/messaging/v1/messages_pb.js";
import { Audience, type BlockedUser, BlockedUserSchema, type ReportRequest, type Settings, SettingsSchema, type UpdateSettingsRequest } from "../gen/parley/messaging/v1/relations_pb.js";
import { type MockBackend, memberIds } from "./backend.js";
import { reason } from "./details.js";
import { PENDING } from "./own-states.js";

/** Settings and blocks of all users. There is no graph here: FOLLOWED and VERIFIED mean that everyone asks first. */
export class MockRelations {
  private readonly settings = new Map<string, Settings>();
  private readonly blocks = new Map<string, BlockedUser[]>();
  readonly reports: ReportRequest[] = [];

  constructor(private readonly backend: MockBackend) {}

  settingsOf(userId: string): Settings {
    const made = create(SettingsSchema, {
      messageAudience: Audience.EVERYONE,
      presenceAudience: Audience.EVERYONE,
      callAudience: Audience.EVERYONE,
      sendReceipts: true,
    });
    return this.settings.get(userId) ?? made;
  }

  set(userId: string, next: Partial<Settings>): Settings {
    const settings = { ...this.settingsOf(userId), ...next };
    this.settings.set(userId, settings);
    this.sendEvent(userId);
    return settings;
  }

  blocked(userId: string): readonly BlockedUser[] {
    return this.blocks.get(userId) ?? [];
  }

  block(userId: string, other: string, present: boolean): void {
    const rest = this.blocked(userId).filter((b) => b.userId !== other);
    const fresh = create(BlockedUserSchema, { userId: other, blockTime: timestampFromMs(this.backend.now()) });
    this.blocks.set(userId, present ? [fresh, ...rest] : rest);
    this.sendEvent(userId);
  }

  /** Throws when one has blocked the other, or the other accepts messages of nobody. */
  check(userId: string, other: string): void {
    const blocks = (a: string, b: string): boolean => this.blocked(a).some((block) => block.userId === b);
    if (blocks(userId, other) || blocks(other, userId)) throw reason(new ConnectError("not allowed", Code.PermissionDenied), "NOT_ALLOWED");
  }

  /** A new conversation is a request for a user who does not accept messages of everyone. */
  requestIfNeeded(userId: string, peerId: string, conversationId: string): void {
    if (userId !== peerId && this.settingsOf(peerId).messageAudience !== Audience.EVERYONE) this.backend.own.set(peerId, conversationId, PENDING);
  }

  private sendEvent(userId: string): void {
    this.backend.sendEvent([userId], { case: "relations", value: { $typeName: "parley.gateway.v1.RelationsChanged" } });
  }
}

export function relationsOf(backend: MockBackend, userId: string) {
  const { relations } = backend;
  const settle = (conversationId: string, request: RequestState): object => {
    backend.own.change(userId, backend.stored(conversationId), { request });
    return {};
  };
  return {
    getSettings: () => {
      backend.count("getSettings");
      return { settings: relations.settingsOf(userId), limits: backend.limits };
    },
    updateSettings: (request: UpdateSettingsRequest) => {
      backend.count("updateSettings");
      const next: Partial<Settings> = {};
      if (request.messageAudience) next.messageAudience = request.messageAudience;
      if (request.presenceAudience) next.presenceAudience = request.presenceAudience;
      if (request.callAudience) next.callAudience = request.callAudience;
      if (request.sendReceipts !== undefined) next.sendReceipts = request.sendReceipts;
      return { settings: relations.set(userId, next) };
    },
    blockUser: ({ userId: other }: { userId: string }) => {
      backend.count("blockUser");
      relations.block(userId, other, true);
      return {};
    },
    unblockUser: ({ userId: other }: { userId: string }) => {
      relations.block(userId, other, false);
      return {};
    },
    listBlockedUsers: () => ({ blockedUsers: [...relations.blocked(userId)] }),
    acceptRequest: ({ conversationId }: { conversationId: string }) => {
      backend.count("acceptRequest");
      return settle(conversationId, RequestState.UNSPECIFIED);
    },
    declineRequest: ({ conversationId, block }: { conversationId: string; block: boolean }) => {
      backend.count("declineRequest");
      if (block) for (const other of memberIds(backend.stored(conversationId))) if (other !== userId) relations.block(userId, other, true);
      return settle(conversationId, RequestState.DECLINED);
    },
    report: (request: ReportRequest) => {
      backend.count("report");
      relations.reports.push(request);
      return { reportId: backend.id("report") };
    },
  };
}
