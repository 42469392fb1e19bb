import { create } from "@bufbuild/protobuf";
import { type Edit, EditSchema, type Message } from "../gen/parley/messaging/v1/messages_pb.js";

/** The texts that messages had before. */
export class MockEdits {
  private readonly byMessage = new Map<string, Edit[]>();

  /** Call before the change. */
  record({ messageId, content, sendTime, editTime }: Message): void {
    const writeTime = editTime ?? sendTime;
    if (content.case !== "text") return;
    this.byMessage.set(messageId, [...(this.byMessage.get(messageId) ?? []), create(EditSchema, { text: content.value, ...(writeTime ? { writeTime } : {}) })]);
  }

  of({ messageId }: Message): Edit[] {
    return this.byMessage.get(messageId) ?? [];
  }
}
