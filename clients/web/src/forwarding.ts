import type { Api } from "./api.js";
import type { Message } from "./core/model.js";
import { type Failure, failureFor, orFailure, readFailure } from "./errors.js";
import { readMessage, seconds } from "./wire.js";

/** Into so many conversations a message goes with one request. */
export const MAX_FORWARD_TARGETS = 10;

/** Takes the service's responses. */
interface Conversations {
  receive(message: Message): void;
}

/** Puts copies of messages into other conversations. */
export class Forwarding {
  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
  ) {}

  /**
   * Forwards a message into conversations, each with the id under which it is sent: who tries again after a failure gives the
   * same ids, and what has gone does not go twice. Returns why, for each conversation that did not take it. Rejects with a
   * Failure where nothing was forwarded.
   */
  async forward(conversationId: string, seq: number, targets: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, Failure>> {
    const ids = Array.from(targets, ([id, clientMessageId]) => ({ conversationId: id, clientMessageId }));
    const { results } = await orFailure(this.api.messaging.forwardMessage({ conversationId, seq: BigInt(seq), targets: ids }));
    const refused = new Map<string, Failure>();
    ids.forEach((target, at) => {
      const result = results[at]?.result;
      if (result?.case === "message") this.conversations.receive(readMessage(result.value));
      else if (result?.case === "refusal") refused.set(target.conversationId, failureFor(result.value.reason, seconds(result.value.retryDelay) * 1000));
      else refused.set(target.conversationId, readFailure(new Error("no result in the answer")));
    });
    return refused;
  }
}
