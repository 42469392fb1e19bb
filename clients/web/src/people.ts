import { displayName } from "./core/display-name.js";
import type { KeptPerson } from "./core/kept.js";

/** What a network tells of a person. */
export interface Profile {
  readonly name: string;
  /** Where the picture is; empty for none. */
  readonly avatarUrl?: string;
}

/**
 * Brings people's names and pictures, by their ids; whom it does not know it leaves out. Parley has none of them: they are
 * the network's.
 */
export type PeopleResolver = (userIds: readonly string[]) => Promise<Readonly<Record<string, Profile>>>;

/** So many people in one question. Raising it makes larger questions; lowering it more of them. */
const MAX_BATCH = 100;
/** A name is asked for again after this long. Raising it shows old names; lowering it asks more often. */
const FRESH_MS = 3_600_000;
/** Who was not known is asked for again after this long, and so is everybody after a question that failed. */
const RETRY_MS = 30_000;
/** So many people are remembered; of more, those who were asked for first are forgotten. */
const MAX_PEOPLE = 2000;

interface Known {
  /** Undefined for somebody whom the network does not know. */
  readonly profile: KeptPerson | undefined;
  /** From then on it is asked for again, when somebody looks. */
  readonly untilMs: number;
}

/** Names and pictures of people: what is looked at is asked for, in batches, and remembered. Nothing here rejects. */
export class People {
  private readonly known = new Map<string, Known>();
  private readonly wanted = new Set<string>();
  private readonly running = new Set<string>();
  private list: readonly KeptPerson[] | undefined;

  constructor(
    private readonly resolve: PeopleResolver | undefined,
    private readonly changed: () => void,
  ) {}

  /** What is known of a person now; asks for the rest, which comes with a change of the client. */
  of(userId: string): Profile | undefined {
    const known = this.known.get(userId);
    if (userId && !(known && known.untilMs > Date.now())) this.want(userId);
    return known?.profile;
  }

  /** A person's name; the id, until one is known. */
  nameOf(userId: string): string {
    return this.of(userId)?.name || displayName(userId);
  }

  /** Where a person's picture is; empty for none. */
  avatarOf(userId: string): string {
    return this.of(userId)?.avatarUrl ?? "";
  }

  /** For the device's store: the same list until something changes. */
  kept(): readonly KeptPerson[] {
    this.list ??= [...this.known.values()].flatMap(({ profile }) => profile ?? []);
    return this.list;
  }

  /** What this device kept: shown, and asked for again. */
  restore(people: readonly KeptPerson[]): void {
    for (const profile of people) if (!this.known.has(profile.userId)) this.known.set(profile.userId, { profile, untilMs: 0 });
    this.list = undefined;
  }

  private want(userId: string): void {
    if (!this.resolve || this.running.has(userId)) return;
    // All who are looked at in one go are asked for together.
    if (this.wanted.size === 0) queueMicrotask(() => this.ask());
    this.wanted.add(userId);
  }

  private ask(): void {
    const ids = [...this.wanted];
    this.wanted.clear();
    for (let start = 0; start < ids.length; start += MAX_BATCH) void this.askFor(ids.slice(start, start + MAX_BATCH));
  }

  private async askFor(userIds: readonly string[]): Promise<void> {
    for (const userId of userIds) this.running.add(userId);
    let found: Readonly<Record<string, Profile>> | undefined;
    try {
      found = await this.resolve?.(userIds);
    } catch {
      // What was known stays.
    }
    for (const userId of userIds) {
      this.running.delete(userId);
      this.note(userId, found && (readProfile(userId, found) ?? "nobody"));
    }
    this.list = undefined;
    this.changed();
  }

  private note(userId: string, told: KeptPerson | "nobody" | undefined): void {
    const profile = told === "nobody" ? undefined : (told ?? this.known.get(userId)?.profile);
    const isTold = told !== undefined && told !== "nobody";
    this.known.delete(userId);
    this.known.set(userId, { profile, untilMs: Date.now() + (isTold ? FRESH_MS : RETRY_MS) });
    for (const oldest of this.known.keys()) {
      if (this.known.size <= MAX_PEOPLE) break;
      this.known.delete(oldest);
    }
  }
}

/** What the embedding page's function said, as far as it can be used. */
function readProfile(userId: string, found: Readonly<Record<string, Profile>>): KeptPerson | undefined {
  const told: Partial<Record<keyof Profile, unknown>> | undefined = Object.hasOwn(found, userId) ? found[userId] : undefined;
  if (typeof told?.name !== "string") return undefined;
  return { userId, name: displayName(told.name), avatarUrl: typeof told.avatarUrl === "string" ? told.avatarUrl : "" };
}
