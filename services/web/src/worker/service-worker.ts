/** The page's service worker: shows what is pushed while no page is open, and leads from there into the conversation. */
import { keepCame, readCame, readTold } from "../notice-told";
import { NoticeBoard } from "./notice-board";
import type { NoticeData } from "./notice-view";
import { addressOf, type OpenConversation, samePage } from "../window-of-page";

const worker = self as unknown as ServiceWorkerGlobalScope;

const board = new NoticeBoard(
  {
    show: ({ title, options }) => worker.registration.showNotification(title, options),
    close: async (tag) => {
      for (const notice of await worker.registration.getNotifications({ tag })) notice.close();
    },
    setBadge: async (count) => {
      // Of installed apps alone; others refuse.
      if ("setAppBadge" in navigator) await navigator.setAppBadge(count).catch(() => undefined);
    },
  },
  { told: readTold, came: readCame, keepCame },
  () => Date.now(),
);

function json(data: PushMessageData | null): unknown {
  try {
    return data?.json() as unknown;
  } catch {
    return undefined;
  }
}

/** The window that shows the page comes to the front and opens the conversation; without one, a new one does. */
async function open({ conversationId }: NoticeData): Promise<void> {
  const page = (await readTold())?.page ?? "/";
  const windows = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const there = windows.find(({ url }) => samePage(url, page));
  if (!there) return void (await worker.clients.openWindow(addressOf(page, conversationId)));
  there.postMessage({ kind: "open", conversationId } satisfies OpenConversation);
  // Browsers let a click do so, and nothing else.
  await there.focus().catch(() => undefined);
}

// It answers no requests: a new one may take the place of an old one at once.
worker.addEventListener("install", () => void worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("push", (event) => event.waitUntil(board.take(json(event.data))));
worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data as NoticeData));
});
