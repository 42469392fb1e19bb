import { backoffMs } from "./core/backoff.js";

/** Runs an idempotent task until it succeeds, with jittered back-off between the attempts. */
export class RetryingTask {
  private attempt = 0;
  /** Rises with each start and cancel, so that an older run ends itself. */
  private run = 0;
  /** The last start was followed by a success. */
  done = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly task: () => Promise<void>,
    private readonly onDone: () => void = () => undefined,
  ) {}

  /** Starts at once; takes the place of a run that waits for its next attempt. */
  start(): void {
    this.cancel();
    this.done = false;
    void this.attemptRun(this.run);
  }

  cancel(): void {
    clearTimeout(this.timer);
    this.attempt = 0;
    this.run++;
  }

  private async attemptRun(run: number): Promise<void> {
    try {
      await this.task();
      if (run !== this.run) return;
      this.done = true;
    } catch {
      if (run !== this.run) return;
      this.timer = setTimeout(() => void this.attemptRun(run), backoffMs(this.attempt++, Math.random()));
      return;
    }
    this.onDone();
  }
}
