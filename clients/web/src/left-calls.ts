import { readFailure } from "./errors.js";

const ATTEMPTS = 5;

/** The calls that this device has left. The server is told again until it knows: otherwise the other side would stay in an empty call. */
export class LeftCalls {
  private readonly left = new Set<string>();

  /** Whether the user has left: an older copy of the call must not bring it back. */
  has(callId: string): boolean {
    return this.left.has(callId);
  }

  /** The user comes back. */
  forget(callId: string): void {
    this.left.delete(callId);
  }

  leave(callId: string, send: () => Promise<unknown>): void {
    this.left.add(callId);
    const attempt = (count: number): void => {
      send().catch((error: unknown) => {
        if (this.has(callId) && readFailure(error).transient && count < ATTEMPTS) setTimeout(() => attempt(count + 1), 1000 * 2 ** count);
      });
    };
    attempt(0);
  }
}
