import type { Api } from "./api.js";
import type { Message } from "./core/model.js";
import { orFailure } from "./errors.js";
import { readMessage } from "./wire.js";

export interface SearchPage {
  /** The newest first. */
  readonly messages: readonly Message[];
  /** For the next page; empty on the last one. */
  readonly nextPageToken: string;
}

/** Finds texts in all of the user's conversations, or in one. Rejects with a Failure, also for a query without words. */
export async function searchMessages(api: Api, query: string, conversationId = "", next = ""): Promise<SearchPage> {
  const page = await orFailure(api.messaging.searchMessages({ query, conversationId, pageToken: next }));
  return { messages: page.messages.map(readMessage), nextPageToken: page.nextPageToken };
}
