/** What the worker says to a window. */
export interface OpenConversation {
  readonly kind: "open";
  readonly conversationId: string;
}

/** Where a conversation is on the page, as the page itself has it in the address. */
export const placeOf = (conversationId: string): string => (conversationId ? `/${encodeURIComponent(conversationId)}` : "");

/** The page with a conversation open. */
export const addressOf = (page: string, conversationId: string): string => `${page}#${placeOf(conversationId)}`;

/** Whether a window shows this page, whatever is open in it. `page`: path and query. */
export function samePage(url: string, page: string): boolean {
  const { pathname, search } = new URL(url);
  return pathname + search === page;
}

/** The conversation that the worker asks a window to open; undefined for any other message. */
export function conversationToOpen(message: unknown): string | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const { kind, conversationId } = message as Partial<OpenConversation>;
  return kind === "open" && typeof conversationId === "string" ? conversationId : undefined;
}
