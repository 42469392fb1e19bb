import { orFailure } from "./errors.js";
import { RetryingTask } from "./retrying-task.js";

/** A part whose code comes when it is needed first, for what most pages never need. */
export class Late<Part> {
  /** Undefined until it was needed. */
  part: Part | undefined;
  private loading: Promise<Part> | undefined;

  constructor(private readonly load: () => Promise<Part>) {}

  /** Rejects with a Failure, which is transient, when the code cannot be loaded; the next call tries that again. */
  async get(): Promise<Part> {
    this.loading ??= this.load();
    try {
      return (this.part = await orFailure(this.loading));
    } catch (error) {
      this.loading = undefined;
      throw error;
    }
  }

  /** For what is told, which nobody tells again: tries for as long as it takes. */
  tell(told: (part: Part) => void): void {
    if (this.part) return told(this.part);
    new RetryingTask(async () => told(await this.get())).start();
  }
}
