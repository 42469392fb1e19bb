import type { Api } from "./api.js";
import type { QuietHours } from "./call-settings.js";
import { Late } from "./late.js";

/**
 * What somebody is told of while Parley is closed. `mentions`: what is meant for them, which is mentions, replies and missed
 * calls, and of the account also all of direct conversations. `none`: ringing calls alone.
 */
export type NotificationLevel = "all" | "mentions" | "none";

export interface NotificationSettings {
  readonly level: NotificationLevel;
  /** Whether notices say who wrote, in which group, and what. */
  readonly previews: boolean;
  /** Hours in which notices make no sound; undefined: at no hours. Calls have theirs in `CallSettings`. */
  readonly quietHours: QuietHours | undefined;
}

/** What of a ServiceWorkerRegistration a subscription needs: that of `navigator.serviceWorker.ready`. */
export type PushRegistration = Pick<ServiceWorkerRegistration, "pushManager">;

/**
 * What this user is told of while no page is open: by Web Push in this browser, and what holds on all devices. Every method
 * rejects with a Failure; its code is `unimplemented` where this Parley tells sleeping devices nothing.
 */
export class Notifications {
  private readonly requests;
  private hasLeft = false;

  constructor(api: Api, deviceId: string, changed: () => void) {
    this.requests = new Late(async () => {
      const { NotificationRequests } = await import("./notification-requests.js");
      return new NotificationRequests(api, deviceId, changed, () => this.hasLeft);
    });
  }

  /** Undefined until `refresh` has succeeded. */
  get current(): NotificationSettings | undefined {
    return this.requests.part?.current;
  }

  /** Whether browsers can subscribe here; false until `refresh` has succeeded. */
  get isWebPushServed(): boolean {
    return this.requests.part?.isWebPushServed ?? false;
  }

  /** The level that was set for a conversation; undefined where the account's holds. */
  levelOf(conversationId: string): NotificationLevel | undefined {
    return this.requests.part?.levelOf(conversationId);
  }

  async refresh(): Promise<void> {
    return (await this.requests.get()).refresh();
  }

  /** Changes what is given, and leaves the rest as it is. Quiet hours are by this device's clock, on each day. */
  async update(change: Partial<NotificationSettings>): Promise<void> {
    return (await this.requests.get()).update(change);
  }

  /** What is told of one conversation, over the level of the account; undefined takes it away. Muting holds besides. */
  async setLevel(conversationId: string, level: NotificationLevel | undefined): Promise<void> {
    return (await this.requests.get()).setLevel(conversationId, level);
  }

  /**
   * Has this browser told from now on: subscribes at its push service, and registers that here. Call it when the user wants
   * notifications, and at each start of the page from then on; what comes is in `@parley/client/notices`. Idempotent.
   * Rejects with a Failure, or with the browser's DOMException: NotAllowedError where the user does not allow it.
   */
  async subscribe(registration: PushRegistration): Promise<void> {
    return (await this.requests.get()).subscribe(registration);
  }

  /** Has this browser told no more. Idempotent. The browser forgets its subscription even where this rejects. */
  async unsubscribe(registration: PushRegistration): Promise<void> {
    return (await this.requests.get()).unsubscribe(registration);
  }

  /** For a logout: whoever comes next is not shown what this user is told. Never rejects. */
  async leave(): Promise<void> {
    // Whoever subscribes meanwhile, or whose code is on its way, is told of it there.
    this.hasLeft = true;
    await this.requests.part?.leave();
  }
}
