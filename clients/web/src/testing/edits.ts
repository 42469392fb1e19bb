import { create } from "@bufbuild/protobuf";
import { type Edit, EditSchema, type Message } from "../gen/parley/messaging/v1/messages_pb.js";

/** The texts that messages had before. */
export class MockEdits {
  private readonly kept = new Map<string, Edit[]>();

  /** Call before the change. */
  note({ messageId, content, sendTime, editTime }: Message): void {
    const writeTime = editTime ?? sendTime;
    if (content.case !== "text") return;
    this.kept.set(messageId, [...(this.kept.get(messageId) ?? []), create(EditSchema, { text: content.value, ...(writeTime ? { writeTime } : {}) })]);
  }

  of({ messageId }: Message): Edit[] {
    return this.kept.get(messageId) ?? [];
  }
}
