import { type CameVersions, isNews, readNotice, remember } from "@parley/client/notices";
import type { Told } from "../notice-told";
import { type NoticeView, viewOf } from "./notice-view";

/** The system's notices of this page. */
export interface Screen {
  show(view: NoticeView): Promise<void>;
  /** Takes away what stands of a thread. */
  close(thread: string): Promise<void>;
  /** The number on the app's icon, where there is one. */
  setBadge(count: number): Promise<void>;
}

/** What stays while the worker does not run. Nothing here rejects. */
export interface Memory {
  told(): Promise<Told | undefined>;
  came(): Promise<CameVersions>;
  keepCame(came: CameVersions): Promise<void>;
}

/** Shows and takes back what is pushed, one push after the other: two at once would not know of each other. */
export class NoticeBoard {
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly screen: Screen,
    private readonly memory: Memory,
    private readonly nowMs: () => number,
  ) {}

  /** Rejects when the browser does not show it. */
  take(json: unknown): Promise<void> {
    const taken = this.last.then(() => this.apply(json));
    // One that fails holds up no other.
    this.last = taken.catch(() => undefined);
    return taken;
  }

  private async apply(json: unknown): Promise<void> {
    const notice = readNotice(json);
    if (!notice) return;
    const came = await this.memory.came();
    if (!isNews(notice, came, this.nowMs())) return;
    if (notice.type === "notice") await this.screen.show(viewOf(notice, await this.memory.told()));
    else await this.screen.close(notice.thread);
    await this.memory.keepCame(remember(notice, came, this.nowMs()));
    await this.screen.setBadge(notice.badge);
  }
}
