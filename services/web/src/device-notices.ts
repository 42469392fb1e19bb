import type { ConversationView, ParleyClient } from "@parley/client";
import { language } from "./language";
import { forgetTold, keepTold, type NoticeLines, type Told } from "./notice-told";
import { conversationToOpen } from "./window-of-page";

/** Of the built page; a development server has none. */
const WORKER = "/service-worker.js";
/** After these nothing of the user stays in this browser. */
const ENDING_REASONS = new Set(["TOKEN_REVOKED", "ACCOUNT_DELETED"]);

/** Whether this browser can show notices, may, and does. */
export type NoticesHere = "unsupported" | "refused" | "off" | "on";

const choiceOf = (userId: string): string => `parley.notices.${userId}`;

/** A user's notices of the system in this browser: turned on and off, given their words, and taken away when they were read here. */
export class DeviceNotices {
  private readonly listeners = new Set<() => void>();
  private readonly closers: (() => void)[] = [];
  private unread = new Map<string, number>();
  /** In which what was read was looked for: the same list has nothing new. */
  private seen: readonly ConversationView[] | undefined;
  private told = "";
  /** It was registered anew since the page was opened. */
  private renewed = false;

  constructor(private readonly client: ParleyClient) {}

  get state(): NoticesHere {
    if (!isSupported()) return "unsupported";
    if (Notification.permission === "denied") return "refused";
    return Notification.permission === "granted" && readChoice(this.client.userId) ? "on" : "off";
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** For as long as the page is open. `show` opens a conversation whose notice was chosen. */
  open(show: (conversationId: string) => void): void {
    if (!isSupported()) return;
    const choose = ({ data }: MessageEvent): void => {
      const conversationId = conversationToOpen(data);
      if (conversationId !== undefined) show(conversationId);
    };
    navigator.serviceWorker.addEventListener("message", choose);
    this.closers.push(
      () => navigator.serviceWorker.removeEventListener("message", choose),
      this.client.subscribe(() => this.follow()),
      language.subscribe(() => this.follow()),
    );
    this.follow();
  }

  close(): void {
    for (const close of this.closers.splice(0)) close();
  }

  /** Asks the user, and has this browser told. Rejects with what went wrong; a refusal of the user is a state. */
  async turnOn(): Promise<void> {
    if ((await Notification.requestPermission()) === "granted") {
      await this.client.notifications.subscribe(await startWorker());
      this.renewed = true;
      keepChoice(this.client.userId, true);
      this.follow();
    }
    this.changed();
  }

  /** Has this browser told no more. */
  async turnOff(): Promise<void> {
    keepChoice(this.client.userId, false);
    this.changed();
    const registration = await navigator.serviceWorker.getRegistration();
    await closeAll(registration);
    if (registration) await this.client.notifications.unsubscribe(registration);
  }

  /** What follows from changes of the client. */
  private follow(): void {
    const { stream, userId } = this.client;
    if (stream.kind === "stopped" && stream.reason === "login" && ENDING_REASONS.has(stream.failure.reason ?? "")) return void forgetNotices(userId);
    if (this.state !== "on") return;
    if (stream.kind === "live" && !this.renewed) void this.renew();
    void this.closeRead();
    this.tell();
  }

  /** At each start: a browser may have changed its subscription, and the service forgets who was not here for long. */
  private async renew(): Promise<void> {
    this.renewed = true;
    try {
      await this.client.notifications.subscribe(await startWorker());
    } catch {
      // What was registered before holds; the next start tries again.
    }
  }

  /** Takes away the notices of what was read here, before the service says so. */
  private async closeRead(): Promise<void> {
    // What this device kept does not know of what was written since.
    if (!this.client.current) return;
    const views = this.client.messaging.store.list();
    if (views === this.seen) return;
    this.seen = views;
    const before = this.unread;
    this.unread = new Map(views.map(({ conversation, unread }) => [conversation.id, unread]));
    // At the start all are looked at: something may have been read elsewhere.
    const read = [...this.unread].filter(([id, unread]) => unread === 0 && before.get(id) !== 0).map(([id]) => id);
    if (read.length === 0) return;
    const registration = await navigator.serviceWorker.getRegistration();
    const threads = new Set(read.map((id) => `conversation:${id}`));
    for (const notice of (await registration?.getNotifications()) ?? []) if (threads.has(notice.tag)) notice.close();
  }

  private tell(): void {
    const { catalog, code, isRightToLeft } = language;
    const names = Object.fromEntries(this.client.people.kept().map(({ userId, name }) => [userId, name]));
    const told: Told = { page: location.pathname + location.search, language: code, direction: isRightToLeft ? "rtl" : "ltr", lines: linesOf(catalog.texts), names };
    const text = JSON.stringify(told);
    if (text === this.told) return;
    this.told = text;
    void keepTold(told);
  }

  private changed(): void {
    for (const listener of this.listeners) listener();
  }
}

/** For a logout: nothing of the user stays on the screen, nor what notices would say. */
export async function forgetNotices(userId: string): Promise<void> {
  keepChoice(userId, false);
  await forgetTold();
  if (!isSupported()) return;
  const registration = await navigator.serviceWorker.getRegistration();
  await closeAll(registration);
  // Also one of an earlier page, which this one has not renewed: the push service then says that it is gone.
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  if ("clearAppBadge" in navigator) await navigator.clearAppBadge().catch(() => undefined);
}

/** Browsers subscribe where a worker runs. */
async function startWorker(): Promise<ServiceWorkerRegistration> {
  await navigator.serviceWorker.register(WORKER);
  return navigator.serviceWorker.ready;
}

async function closeAll(registration: ServiceWorkerRegistration | undefined): Promise<void> {
  for (const notice of (await registration?.getNotifications()) ?? []) notice.close();
}

function isSupported(): boolean {
  return typeof Notification !== "undefined" && "serviceWorker" in navigator && "PushManager" in globalThis;
}

function linesOf(texts: typeof language.catalog.texts): NoticeLines {
  return {
    message: texts["notice.message"],
    mention: texts["notice.mention"],
    reply: texts["notice.reply"],
    reaction: texts["notice.reaction"],
    request: texts["notice.request"],
    missed: texts["notice.missed"],
    voice: texts["notice.call.voice"],
    video: texts["notice.call.video"],
    by: texts["notice.by"],
    mentionBy: texts["notice.mention.by"],
    replyBy: texts["notice.reply.by"],
    reactionBy: texts["notice.reaction.by"],
    callReminder: texts["notice.call.reminder"],
    callBegins: texts["notice.call.begins"],
  };
}

/** Off where the browser keeps nothing for pages. */
function readChoice(userId: string): boolean {
  try {
    return localStorage.getItem(choiceOf(userId)) === "on";
  } catch {
    return false;
  }
}

function keepChoice(userId: string, on: boolean): void {
  try {
    if (on) localStorage.setItem(choiceOf(userId), "on");
    else localStorage.removeItem(choiceOf(userId));
  } catch {
    // Then the next start asks again.
  }
}
