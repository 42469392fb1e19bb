/** Who may reach whom, as plain values. */

export type Audience = "everyone" | "followed" | "verified" | "contacted" | "nobody";

export interface Settings {
  /** Whose messages go to the inbox; others wait in Requests. With `nobody`, new people cannot write at all. */
  readonly messages: Audience;
  /** Who sees when the user is online. A user who hides it does not see that of others. */
  readonly presence: Audience;
  /** Who may ring the user. */
  readonly calls: Audience;
  /** Whether others learn what has arrived and was read. */
  readonly sendReceipts: boolean;
}

export type SettingsChange = Partial<Settings>;

/** What the service takes for each setting, in the order in which people are asked. */
export const AUDIENCES: Readonly<Record<"messages" | "presence" | "calls", readonly Audience[]>> = {
  messages: ["everyone", "followed", "verified", "nobody"],
  presence: ["everyone", "followed", "nobody"],
  calls: ["everyone", "followed", "verified", "contacted", "nobody"],
};

export interface BlockedPerson {
  readonly userId: string;
  readonly blockTimeMs: number;
}

export type ReportReason = "spam" | "abuse" | "self_harm" | "illegal" | "other";

/** An export of a person's data, or the deletion of the account. */
export interface Job {
  readonly id: string;
  readonly done: boolean;
  /** Where the parts of a finished export can be fetched, in order. */
  readonly downloadUrls: readonly string[];
  /** Until when the export is kept. */
  readonly expireTimeMs: number | undefined;
}
