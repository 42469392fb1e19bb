import { Account } from "./account.js";
import type { Api } from "./api.js";
import { createWebApi } from "./api.js";
import { CallDevices } from "./call-devices.js";
import { CallSettings } from "./call-settings.js";
import type { MediaFactory } from "./call-media-session.js";
import { Calls } from "./calls.js";
import { Changes } from "./changes.js";
import { ConversationStore } from "./core/conversation-store.js";
import type { Limits } from "./core/limits.js";
import { type Told, userMessage } from "./core/user-messages.js";
import { DeliveryReceipts } from "./delivery-receipts.js";
import { handOut } from "./device-events.js";
import { Downloads } from "./downloads.js";
import type { DeviceStore } from "./device-store.js";
import { MemoryDeviceStore } from "./device-store.js";
import { Drafts } from "./drafts.js";
import { CallEncryption } from "./encryption/call-encryption.js";
import type { StreamState } from "./event-stream.js";
import { EventStream } from "./event-stream.js";
import { Expiry } from "./expiry.js";
import { hangUpOnUnload } from "./hangup-on-unload.js";
import { Forwarding } from "./forwarding.js";
import { Groups } from "./groups.js";
import { JoinLinks } from "./join-links.js";
import { ScheduledCalls } from "./scheduled-calls.js";
import { LazyMedia, loadMedia } from "./lazy-media.js";
import { ConversationSettings } from "./conversation-settings.js";
import { IndexedDbStore } from "./indexed-db-store.js";
import { Keeper } from "./keeper.js";
import { Messaging } from "./messaging.js";
import { Notifications } from "./notifications.js";
import { type KeyStorage, pageStorage } from "./page-storage.js";
import { RetryingTask } from "./retrying-task.js";
import { People, type PeopleResolver } from "./people.js";
import { PresenceTracker } from "./presence.js";
import { Relations } from "./relations.js";
import { ScheduledMessages } from "./scheduled.js";
import type { SearchFilters, SearchPage, SharedKind } from "./search.js";
import { listShared, searchMessages } from "./search.js";
import type { TokenProvider } from "./tokens.js";
import { TokenCache } from "./tokens.js";
import type { Put } from "./object-upload.js";
import { putByXhr } from "./object-upload.js";
import { Uploads } from "./uploads.js";
import { VoiceMessages } from "./voice.js";

/** What all services take. */
const DEVICE_ID = /^[A-Za-z0-9_-]{8,64}$/;
const WIPING_REASONS = new Set(["TOKEN_REVOKED", "ACCOUNT_DELETED"]);

/** Something that is shown for a while. */
export interface Notice {
  readonly line: string;
  /** The facts of it; undefined for a line of the interface's own. */
  readonly told: Told | undefined;
  readonly id: number;
}

export interface ClientOptions {
  readonly userId: string;
  /** Chosen once per user and browser and kept: 8 to 64 of A-Z, a-z, 0-9, _ and -; see `storedDeviceId`. */
  readonly deviceId: string;
  readonly tokens: TokenProvider;
  /** Where Envoy listens; empty for the page's own origin. */
  readonly baseUrl?: string;
  /** In place of gRPC-Web: a backend in memory in tests. */
  readonly api?: Api;
  /** In place of WebRTC: for tests and the mock. */
  readonly media?: MediaFactory;
  /** In place of XMLHttpRequest, for the bytes of files. */
  readonly put?: Put;
  /** Names and pictures of people, from the network that has them; ids are shown without it. */
  readonly people?: PeopleResolver;
  /**
   * What is kept over a reload: conversations, messages, and those that wait to be sent. IndexedDB without it;
   * `new MemoryDeviceStore()` leaves nothing behind.
   */
  readonly store?: DeviceStore;
  /** In place of localStorage; where the browser has none, things are kept until the page is closed. */
  readonly storage?: KeyStorage;
}

/**
 * Parley for one user on one device: conversations, presence and calls, kept current by one event stream.
 *
 * Read what it knows through its parts after each change (`subscribe`); ask it to do things through its methods.
 */
export class ParleyClient {
  readonly userId: string;
  readonly deviceId: string;
  readonly messaging: Messaging;
  readonly groups: Groups;
  readonly forwarding: Forwarding;
  readonly scheduled: ScheduledMessages;
  readonly conversationSettings: ConversationSettings;
  readonly relations: Relations;
  readonly uploads: Uploads;
  readonly voice: VoiceMessages;
  readonly downloads: Downloads;
  readonly account: Account;
  readonly drafts: Drafts;
  readonly people: People;
  readonly presence: PresenceTracker;
  readonly calls: Calls;
  readonly callSettings: CallSettings;
  /** What this user is told of while Parley is closed. */
  readonly notifications: Notifications;
  readonly joinLinks: JoinLinks;
  readonly scheduledCalls: ScheduledCalls;
  /** End-to-end encryption of calls, and the keys of this user's devices. */
  readonly encryption: CallEncryption;
  /** Where Parley is, and the user's token there: for what is asked beside the library, such as previews of links. */
  readonly baseUrl: string;
  readonly tokens: TokenCache;
  /** The state of the event stream. */
  stream: StreamState = { kind: "connecting" };
  /** The last line that no window shows; the interface shows it for a while. */
  notice: Notice | undefined;
  /** Told when it should ring, and when no longer. */
  onRing: (ringing: boolean) => void = () => undefined;
  private readonly api: Api;
  private readonly events: EventStream;
  private readonly changes = new Changes();
  private readonly deliveryReceipts: DeliveryReceipts;
  private readonly expiry: Expiry;
  private readonly keeper: Keeper;
  /** Rises with each start and stop, so that a start that waits for the store is void after a stop. */
  private run = 0;
  private readonly catchUp = new RetryingTask(() => this.fetchMissed(), () => this.changes.notify());
  private notices = 0;

  /** Throws a RangeError for what can be no device's id. */
  constructor(options: ClientOptions) {
    if (!DEVICE_ID.test(options.deviceId)) throw new RangeError(`deviceId has to be 8 to 64 of A-Z, a-z, 0-9, _ and -: ${options.deviceId}`);
    this.userId = options.userId;
    this.deviceId = options.deviceId;
    this.baseUrl = options.baseUrl ?? location.origin;
    this.tokens = new TokenCache(options.tokens, this.userId);
    const api: Api = options.api ?? createWebApi(this.baseUrl, this.tokens);
    this.api = api;
    const changed = (): void => this.changes.notify();
    this.messaging = new Messaging(api, new ConversationStore(this.userId), changed, (group) =>
      this.showNotice(userMessage("left_group", { group: group.title })),
    );
    this.groups = new Groups(api, this.messaging);
    this.forwarding = new Forwarding(api, this.messaging);
    this.scheduled = new ScheduledMessages(api, changed);
    this.conversationSettings = new ConversationSettings(api, this.messaging);
    this.relations = new Relations(api, changed, this.messaging);
    const put = options.put ?? putByXhr;
    this.uploads = new Uploads(api, put, changed, () => this.limits);
    this.voice = new VoiceMessages(api, put, this.messaging, () => this.calls.deviceChoice);
    this.downloads = new Downloads(api);
    this.account = new Account(api, this.userId, () => void this.wipe());
    this.people = new People(options.people, changed);
    const store = options.store ?? defaultStore(this.userId);
    this.keeper = new Keeper(store, this.messaging.store, this.messaging, this.people, changed);
    const storage = options.storage ?? pageStorage();
    this.drafts = new Drafts(this.userId, storage, api, changed);
    this.deliveryReceipts = new DeliveryReceipts(api, this.userId, () => this.relations.settings?.sendReceipts !== false);
    this.expiry = new Expiry(this.messaging.store, changed);
    this.presence = new PresenceTracker(api, this.deviceId, changed);
    const media: MediaFactory = options.media ?? ((signaling, listener) => new LazyMedia(loadMedia, signaling, listener));
    this.encryption = new CallEncryption(api, { userId: this.userId, deviceId: this.deviceId }, store, changed);
    this.calls = new Calls(api, this.userId, this.deviceId, media, this.encryption, {
      onChange: changed,
      onNotice: (notice) => this.showNotice(notice),
      onRing: (ringing) => {
        if (ringing) this.prepareCalls();
        this.onRing(ringing);
      },
    }, new CallDevices(storage));
    this.callSettings = new CallSettings(api, changed);
    this.notifications = new Notifications(api, this.deviceId, changed);
    this.joinLinks = new JoinLinks(api, (call) => this.calls.receive(call), changed);
    this.scheduledCalls = new ScheduledCalls(api, changed);
    this.events = new EventStream(api, this.deviceId, {
      onEvent: (event) => handOut(event, this, () => this.catchUp.start()),
      onState: (state) => this.setStream(state),
      isCurrent: () => this.catchUp.done,
    });
    this.changes.subscribe(() => this.followUp());
  }

  /** The service's limits; without limit until they are known. */
  get limits(): Limits {
    return this.relations.limits;
  }

  /**
   * Shows what this device kept, and opens the event stream; the rest follows from its Ready. Also takes the stream back
   * from another window. Resolves when what was kept is there; never rejects.
   */
  async start(): Promise<void> {
    const run = ++this.run;
    await this.keeper.restore();
    if (run === this.run) this.events.start();
  }

  /** Ends the stream and hangs up. The client can be started again. */
  stop(): void {
    this.run++;
    this.calls.hangUp();
    this.calls.close();
    this.presence.close();
    this.uploads.close();
    this.deliveryReceipts.close();
    this.expiry.close();
    this.drafts.close();
    this.catchUp.cancel();
    this.encryption.close();
    this.events.stop();
    // A start that was still waiting for the store had no stream to end.
    if (this.stream.kind !== "stopped") this.setStream({ kind: "stopped", reason: "closed", line: "" });
    void this.keeper.close();
  }

  /**
   * For a logout: stops, has this browser told no more, and forgets what it keeps of this user, drafts and messages that were
   * not sent among them. A new login needs a new client.
   */
  async wipe(): Promise<void> {
    this.stop();
    await this.forget();
  }

  /** Calls back after each burst of changes. Returns the function that ends the subscription. */
  subscribe(listener: () => void): () => void {
    return this.changes.subscribe(listener);
  }

  /** The page is seen again: whatever waits for its next attempt makes it now. */
  retryNow(): void {
    this.events.retryNow();
    this.calls.retryNow();
  }

  /** For `visibilitychange`: while nobody sees the page, calls bring no pictures, and their sound goes on. */
  setHidden(hidden: boolean): void {
    this.calls.setHidden(hidden);
    if (!hidden) this.retryNow();
  }

  /** The device has a network again, perhaps another one. */
  reconnect(): void {
    this.events.restart();
    this.calls.retryNow();
  }

  /** For `pagehide`: hangs up, best effort. */
  hangUpOnUnload(): void {
    const callId = this.calls.openCallId();
    const token = this.tokens.current();
    if (callId && token) hangUpOnUnload(this.baseUrl, token.value, callId, this.deviceId);
  }

  /** Loads the code of calls ahead, which the first call loads otherwise: it then begins a little sooner. */
  prepareCalls(): void {
    // A call that needs it tries again by itself.
    for (const code of [loadMedia(), import("./devices.js")]) void code.catch(() => undefined);
  }

  /** Finds texts in all conversations or in one, in pages; the next page wants the same filters. Rejects with a Failure. */
  search(query: string, conversationId?: string, next?: string, filters?: SearchFilters): Promise<SearchPage> {
    return searchMessages(this.api, query, conversationId, next, filters);
  }

  /** What was sent in a conversation, of one kind, the newest first, in pages; one may be empty and still have a next one. Rejects with a Failure. */
  listShared(conversationId: string, kind: SharedKind, next?: string): Promise<SearchPage> {
    return listShared(this.api, conversationId, kind, next);
  }

  /** Whether all that the service has is here. While it is not, what this device kept may be older: it may have been read, or written to. */
  get current(): boolean {
    return this.catchUp.done && this.stream.kind === "live";
  }

  /** Shows something for a while: a line of the interface's own, or what the client tells. */
  showNotice(notice: Told | string): void {
    const [line, told] = typeof notice === "string" ? [notice, undefined] : [notice.line, notice];
    this.notice = { line, told, id: ++this.notices };
    this.changes.notify();
  }

  private setStream(state: StreamState): void {
    if (this.stream.kind === "live" && state.kind !== "live") {
      this.catchUp.cancel();
      this.presence.forget();
    }
    this.stream = state;
    if (state.kind === "live") this.keeper.claim();
    // Signed out from elsewhere, or the account is gone: what was kept here is nobody's any more.
    if (state.kind === "stopped" && state.reason === "login" && WIPING_REASONS.has(state.failure.reason ?? "")) void this.forget();
    this.changes.notify();
  }

  private async forget(): Promise<void> {
    this.drafts.wipe();
    await Promise.all([this.notifications.leave(), this.keeper.wipe()]);
  }

  /** Everything that may have been missed. */
  private async fetchMissed(): Promise<void> {
    const results = await Promise.allSettled([this.calls.refresh(), this.messaging.sync(), this.relations.refresh(), this.scheduled.refresh(), this.drafts.refresh()]);
    // A link that is closed by now, or a call that ended, keeps nothing else from being current.
    await Promise.all([this.joinLinks.refresh(), this.scheduledCalls.refreshAll()].map((refreshed) => refreshed.catch(() => undefined)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    this.messaging.retryFailed();
    this.encryption.refresh();
  }

  /** What follows from changes. */
  private followUp(): void {
    this.expiry.update();
    this.keeper.update();
    if (this.stream.kind !== "live" || !this.messaging.ready) return;
    void this.presence.watch(this.messaging.store.peers());
    this.deliveryReceipts.report(this.messaging.store.list());
  }
}

function defaultStore(userId: string): DeviceStore {
  try {
    // As with `pageStorage`.
    return globalThis.indexedDB ? new IndexedDbStore(userId) : new MemoryDeviceStore();
  } catch {
    return new MemoryDeviceStore();
  }
}
