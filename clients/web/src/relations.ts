import type { Api } from "./api.js";
import { type Limits, UNKNOWN_LIMITS } from "./core/limits.js";
import type { RequestState } from "./core/model.js";
import type { BlockedPerson, ReportReason, Settings, SettingsChange } from "./core/relations.js";
import { orFailure } from "./errors.js";
import { millis } from "./wire.js";
import { readLimits, readSettings, writeReason, writeSettings } from "./wire-relations.js";

const PAGE_SIZE = 200;

/** What a report is about. */
export interface ReportInput {
  readonly conversationId: string;
  /** The messages meant; none for the conversation as a whole. */
  readonly seqs: readonly number[];
  readonly reason: ReportReason;
  readonly comment: string;
}

interface Conversations {
  setRequest(conversationId: string, request: RequestState): void;
}

/** Who may reach this user: settings, blocks, requests, reports. Every method rejects with a Failure. */
export class Relations {
  /** Undefined until `refresh` has succeeded. */
  settings: Settings | undefined;
  /** The service's limits; fetched with the settings. */
  limits: Limits = UNKNOWN_LIMITS;
  /** The newest first. */
  blocked: readonly BlockedPerson[] = [];
  private running: Promise<void> | undefined;
  private refreshAgain = false;

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
    private readonly conversations: Conversations,
  ) {}

  isBlocked(userId: string): boolean {
    return this.blocked.some((person) => person.userId === userId);
  }

  /** Fetches settings and blocks. Calls during a run lead to one more run after it. */
  refresh(): Promise<void> {
    this.refreshAgain = true;
    this.running ??= this.fetchUntilCurrent().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async fetchUntilCurrent(): Promise<void> {
    while (this.refreshAgain) {
      this.refreshAgain = false;
      const [{ settings, limits }, blocked] = await orFailure(Promise.all([this.api.relations.getSettings({}), this.listBlocked()]));
      this.settings = settings && readSettings(settings);
      this.limits = readLimits(limits);
      this.blocked = blocked;
      this.changed();
    }
  }

  private async listBlocked(): Promise<BlockedPerson[]> {
    const found: BlockedPerson[] = [];
    let pageToken = "";
    do {
      const page = await this.api.relations.listBlockedUsers({ pageSize: PAGE_SIZE, pageToken });
      found.push(...page.blockedUsers.map(({ userId, blockTime }) => ({ userId, blockTimeMs: millis(blockTime) ?? 0 })));
      pageToken = page.nextPageToken;
    } while (pageToken);
    return found;
  }

  async update(change: SettingsChange): Promise<void> {
    const { settings } = await orFailure(this.api.relations.updateSettings(writeSettings(change)));
    if (settings) this.settings = readSettings(settings);
    // What is on its way may be older.
    this.refreshAgain = true;
    this.changed();
  }

  async block(userId: string): Promise<void> {
    await orFailure(this.api.relations.blockUser({ userId }));
    await this.refresh();
  }

  async unblock(userId: string): Promise<void> {
    await orFailure(this.api.relations.unblockUser({ userId }));
    await this.refresh();
  }

  /** Accepts a request. */
  async accept(conversationId: string): Promise<void> {
    await orFailure(this.api.relations.acceptRequest({ conversationId }));
    this.conversations.setRequest(conversationId, "none");
  }

  /** Declines a request; nobody is told. With `block`, its sender is blocked too. */
  async decline(conversationId: string, block = false): Promise<void> {
    await orFailure(this.api.relations.declineRequest({ conversationId, block }));
    this.conversations.setRequest(conversationId, "declined");
    if (block) await this.refresh();
  }

  async report({ conversationId, seqs, reason, comment }: ReportInput): Promise<void> {
    const common = { clientReportId: crypto.randomUUID(), conversationId, comment };
    await orFailure(this.api.relations.report({ ...common, seqs: seqs.map(BigInt), reason: writeReason(reason) }));
  }
}
