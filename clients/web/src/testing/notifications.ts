import { create } from "@bufbuild/protobuf";
import { Level, type NotificationSettings, NotificationSettingsSchema, type RegisterTokenRequest, type RemoveTokenRequest, type SetConversationLevelRequest } from "../gen/parley/notifications/v1/service_pb.js";
import type { MockBackend } from "./backend.js";

/** What users want to be told, and the devices that are. Nothing is sent. */
export class MockNotifications {
  private readonly settings = new Map<string, NotificationSettings>();
  private readonly levels = new Map<string, Map<string, Level>>();
  /** What was registered, by device. */
  readonly tokens = new Map<string, RegisterTokenRequest>();
  /** Empty: browsers are not served. */
  webPushPublicKey = new Uint8Array();

  constructor(private readonly backend: MockBackend) {}

  methodsOf(userId: string) {
    const levels = this.levels.get(userId) ?? new Map<string, Level>();
    this.levels.set(userId, levels);
    return {
      getNotificationSettings: () => {
        this.backend.count("getNotificationSettings");
        const settings = this.settings.get(userId) ?? create(NotificationSettingsSchema, { level: Level.ALL });
        return { settings, conversationLevels: [...levels].map(([conversationId, level]) => ({ conversationId, level })), webPushPublicKey: this.webPushPublicKey };
      },
      updateNotificationSettings: ({ settings = create(NotificationSettingsSchema) }: { settings?: NotificationSettings | undefined }) => {
        this.backend.count("updateNotificationSettings");
        this.settings.set(userId, settings);
        return { settings };
      },
      setConversationLevel: ({ conversationId, level }: SetConversationLevelRequest) => {
        this.backend.count("setConversationLevel");
        if (level === Level.UNSPECIFIED) levels.delete(conversationId);
        else levels.set(conversationId, level);
        return {};
      },
      registerToken: (request: RegisterTokenRequest) => {
        this.backend.count("registerToken");
        this.tokens.set(request.deviceId, request);
        return {};
      },
      removeToken: ({ deviceId }: RemoveTokenRequest) => {
        this.backend.count("removeToken");
        this.tokens.delete(deviceId);
        return {};
      },
    };
  }
}
