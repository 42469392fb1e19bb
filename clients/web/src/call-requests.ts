import type { Api } from "./api.js";
import type { Call } from "./core/model.js";
import type { Call as WireCall, MediaGrant } from "./gen/parley/calls/v1/messages_pb.js";
import { LeftCalls } from "./left-calls.js";
import type { Grant } from "./media-connection.js";
import { readCall } from "./wire.js";

/** The answer to a request of ours: the only copy of a call that carries a grant. */
export interface CallAnswer {
  readonly call: Call;
  readonly grant: Grant | undefined;
}

/** How a device takes a seat in a call that there is. */
export type SeatMethod = "acceptCall" | "joinCall" | "takeOverCall";

/** What this device asks of the server to get into a call, and out of it. */
export class CallRequests {
  readonly left = new LeftCalls();

  constructor(
    private readonly api: Api,
    private readonly deviceId: string,
  ) {}

  async start(conversationId: string, video: boolean, clientCallId: string): Promise<CallAnswer> {
    const { deviceId } = this;
    const answer = readAnswer(await this.api.calls.startCall({ conversationId, video, deviceId, clientCallId }));
    if (!answer) throw new Error("no call in the answer");
    return answer;
  }

  async takeSeat(method: SeatMethod, callId: string): Promise<CallAnswer | undefined> {
    return readAnswer(await this.api.calls[method](this.keyOf(callId)));
  }

  async renewGrant(callId: string): Promise<Grant | undefined> {
    const { grant } = await this.api.calls.renewMediaGrant({ callId, deviceId: this.deviceId });
    return grant;
  }

  decline(callId: string): void {
    this.left.leave(callId, () => this.api.calls.declineCall({ callId }));
  }

  /** Told again until it is heard, and known again by the server: a late one must not hang up a call that was joined anew. */
  leave(callId: string): void {
    const key = this.keyOf(callId);
    this.left.leave(callId, () => this.api.calls.leaveCall(key));
  }

  private keyOf(callId: string) {
    return { callId, deviceId: this.deviceId, clientRequestId: crypto.randomUUID() };
  }
}

function readAnswer({ call, grant }: { call?: WireCall | undefined; grant?: MediaGrant | undefined }): CallAnswer | undefined {
  return call && { call: readCall(call), grant };
}
