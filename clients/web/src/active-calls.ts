import type { Call } from "./core/model.js";

/** The calls that ring or run in the user's conversations, on whichever devices: what a conversation shows of them. */
export class ActiveCalls {
  /** The newest copy of each conversation's last call, which may have ended. */
  private readonly calls = new Map<string, Call>();

  /** Undefined when none rings or runs there. */
  of(conversationId: string): Call | undefined {
    const call = this.calls.get(conversationId);
    return call?.state === "ended" ? undefined : call;
  }

  /** One that rings the user on all devices, other than the given one. */
  ringing(userId: string, otherThan: string): Call | undefined {
    const rung = (call: Call): boolean => call.participants.some((p) => p.userId === userId && p.state === "ringing");
    return [...this.calls.values()].find((call) => call.state !== "ended" && call.id !== otherThan && rung(call));
  }

  update(call: Call): void {
    const known = this.calls.get(call.conversationId);
    const older = known?.id === call.id ? call.version <= known.version : call.state === "ended" && known !== undefined;
    if (!older) this.calls.set(call.conversationId, call);
  }

  /** `running` is all there is: what is not among them has ended unseen. */
  replace(running: readonly Call[]): void {
    const ids = new Set(running.map((call) => call.id));
    for (const [conversationId, call] of this.calls) if (call.state !== "ended" && !ids.has(call.id)) this.calls.delete(conversationId);
    for (const call of running) this.update(call);
  }
}
