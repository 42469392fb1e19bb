import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Draft, DraftSchema } from "../gen/parley/messaging/v1/messages_pb.js";
import type { MockBackend } from "./backend.js";

interface SetRequest {
  readonly conversationId: string;
  readonly text: string;
  readonly replyToSeq: bigint;
}

/** What each user has written and not sent; its events go to the user's own devices only. */
export class MockDrafts {
  private readonly kept = new Map<string, Draft>();
  private revisions = 0n;

  constructor(private readonly backend: MockBackend) {}

  of(userId: string): Draft[] {
    return [...this.kept].filter(([key, { text }]) => key.startsWith(`${userId} `) && text).map(([, draft]) => draft);
  }

  /** Sets it; with `lost`, without telling anyone. */
  set(userId: string, { conversationId, text, replyToSeq }: SetRequest, lost = false): Draft {
    const key = `${userId} ${conversationId}`;
    const known = this.kept.get(key);
    if (known?.text === text) return known;
    const draft = create(DraftSchema, { conversationId, text, replyToSeq, revision: ++this.revisions, changeTime: timestampFromMs(this.backend.now()) });
    this.kept.set(key, draft);
    if (!lost) this.backend.sendEvent([userId], { case: "draft", value: draft });
    return draft;
  }
}

export function draftsOf(backend: MockBackend, userId: string) {
  return {
    setDraft: (request: SetRequest) => {
      backend.count("setDraft");
      return { draft: backend.drafts.set(userId, request) };
    },
    listDrafts: () => {
      backend.count("listDrafts");
      return { drafts: backend.drafts.of(userId) };
    },
  };
}
