import type { Call as WireCall } from "./gen/parley/calls/v1/messages_pb.js";
import type { Api } from "./api.js";
import { orFailure } from "./errors.js";

/** Actions in the running call. All reject with a Failure; all except the raised hand are for a group's admins. */
export class CallActions {
  constructor(
    private readonly api: Api,
    private readonly callId: () => string,
    private readonly receive: (call: WireCall) => void,
  ) {}

  setHand(raised: boolean): Promise<void> {
    return this.run(this.api.calls.setHand({ callId: this.callId(), raised, clientRequestId: crypto.randomUUID() }));
  }

  /** Their device mutes itself and tells them; they can unmute. */
  requestMute(userId: string): Promise<void> {
    return this.run(this.api.calls.requestMute({ callId: this.callId(), userId, clientRequestId: crypto.randomUUID() }));
  }

  /** Puts somebody out for good. */
  remove(userId: string): Promise<void> {
    return this.run(this.api.calls.removeParticipant({ callId: this.callId(), userId }));
  }

  /** Locked, nobody new gets in. */
  setLocked(locked: boolean): Promise<void> {
    return this.run(this.api.calls.setLock({ callId: this.callId(), locked, clientRequestId: crypto.randomUUID() }));
  }

  endForAll(): Promise<void> {
    return this.run(this.api.calls.endCall({ callId: this.callId() }));
  }

  private async run(request: Promise<{ call?: WireCall | undefined }>): Promise<void> {
    const { call } = await orFailure(request);
    if (call) this.receive(call);
  }
}
