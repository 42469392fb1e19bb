import type { Api } from "./api.js";
import { hereAndDaily } from "./call-settings.js";
import { FailureError, failureFor, orFailure } from "./errors.js";
import { Level, Provider, type NotificationSettings as WireSettings } from "./gen/parley/notifications/v1/service_pb.js";
import type { NotificationLevel, NotificationSettings, PushRegistration } from "./notifications.js";

const LEVELS: Record<NotificationLevel, Level> = { all: Level.ALL, mentions: Level.MENTIONS, none: Level.NONE };

function readLevel(level: Level): NotificationLevel {
  if (level === Level.MENTIONS) return "mentions";
  return level === Level.NONE ? "none" : "all";
}

/** What `Notifications` does; its code comes when their settings are asked for, or a browser subscribes. */
export class NotificationRequests {
  current: NotificationSettings | undefined;
  private wire: WireSettings | undefined;
  private levels: ReadonlyMap<string, NotificationLevel> = new Map();
  private serverKey = new Uint8Array();
  private subscribed: PushRegistration | undefined;

  constructor(
    private readonly api: Api,
    private readonly deviceId: string,
    private readonly changed: () => void,
    private readonly hasLeft: () => boolean,
  ) {}

  get isWebPushServed(): boolean {
    return this.serverKey.length > 0;
  }

  levelOf(conversationId: string): NotificationLevel | undefined {
    return this.levels.get(conversationId);
  }

  async refresh(): Promise<void> {
    const found = await orFailure(this.api.notifications.getNotificationSettings({}));
    this.levels = new Map(found.conversationLevels.map(({ conversationId, level }) => [conversationId, readLevel(level)]));
    this.serverKey = new Uint8Array(found.webPushPublicKey);
    this.take(found.settings);
  }

  async update(change: Partial<NotificationSettings>): Promise<void> {
    if (!this.wire) await this.refresh();
    const { level = Level.ALL, previewsOff = false, quietHours } = this.wire ?? {};
    const hours = "quietHours" in change ? hereAndDaily(change.quietHours) : quietHours;
    const settings = {
      level: change.level ? LEVELS[change.level] : level,
      previewsOff: change.previews === undefined ? previewsOff : !change.previews,
      ...(hours ? { quietHours: hours } : {}),
    };
    this.take((await orFailure(this.api.notifications.updateNotificationSettings({ settings }))).settings);
  }

  async setLevel(conversationId: string, level: NotificationLevel | undefined): Promise<void> {
    await orFailure(this.api.notifications.setConversationLevel({ conversationId, level: level ? LEVELS[level] : Level.UNSPECIFIED }));
    const levels = new Map(this.levels);
    if (level) levels.set(conversationId, level);
    else levels.delete(conversationId);
    this.levels = levels;
    this.changed();
  }

  async subscribe(registration: PushRegistration): Promise<void> {
    if (!this.isWebPushServed) await this.refresh();
    if (!this.isWebPushServed) throw new FailureError(failureFor("PROVIDER_NOT_SERVED", 0));
    this.subscribed = registration;
    try {
      const subscription = await subscriptionOf(registration, this.serverKey);
      const [p256dh, auth] = [keyOf(subscription, "p256dh"), keyOf(subscription, "auth")];
      const token = { deviceId: this.deviceId, provider: Provider.WEB_PUSH, token: subscription.endpoint };
      await orFailure(this.api.notifications.registerToken({ ...token, webPushKeys: { p256dh, auth } }));
    } finally {
      // A logout came meanwhile, and what it took away is here again.
      if (this.hasLeft()) await this.unsubscribe(registration).catch(() => undefined);
    }
  }

  async unsubscribe(registration: PushRegistration): Promise<void> {
    this.subscribed = undefined;
    await (await registration.pushManager.getSubscription())?.unsubscribe();
    await orFailure(this.api.notifications.removeToken({ deviceId: this.deviceId, provider: Provider.WEB_PUSH }));
  }

  async leave(): Promise<void> {
    // What could not be said here the push service says with the next notice: the subscription is gone.
    if (this.subscribed) await this.unsubscribe(this.subscribed).catch(() => undefined);
  }

  private take(settings: WireSettings | undefined): void {
    const hours = settings?.quietHours;
    this.wire = settings;
    this.current = {
      level: readLevel(settings?.level ?? Level.ALL),
      previews: !settings?.previewsOff,
      quietHours: hours && { startMinute: hours.startMinute, endMinute: hours.endMinute },
    };
    this.changed();
  }
}

/** The browser's subscription that is bound to this key. One that is bound to a former key is of no more use. */
async function subscriptionOf({ pushManager }: PushRegistration, key: Uint8Array<ArrayBuffer>): Promise<PushSubscription> {
  const standing = await pushManager.getSubscription();
  if (standing && isSame(standing.options.applicationServerKey, key)) return standing;
  await standing?.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

function isSame(bound: ArrayBuffer | null, key: Uint8Array): boolean {
  const bytes = new Uint8Array(bound ?? []);
  return bytes.length === key.length && bytes.every((byte, i) => byte === key[i]);
}

const keyOf = (subscription: PushSubscription, name: PushEncryptionKeyName): Uint8Array<ArrayBuffer> => new Uint8Array(subscription.getKey(name) ?? []);
