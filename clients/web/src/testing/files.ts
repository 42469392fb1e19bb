import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CreateUploadRequest, OpenViewOnceRequest } from "../gen/parley/messaging/v1/attachments_pb.js";
import { type Attachment, AttachmentSchema } from "../gen/parley/messaging/v1/messages_pb.js";
import type { Put } from "../index.js";
import type { MockBackend } from "./backend.js";

/** The life of an address. */
const ADDRESS_MS = 300_000;
const UPLOAD = "mock-upload:";

/** The object store; the bytes stay in memory. */
export class MockFiles {
  private readonly announced = new Map<string, Attachment>();
  private readonly bodies = new Map<string, Blob>();
  /** How an address is made of the bytes; the page gives one that a picture can be drawn from. */
  addressOf: (attachmentId: string, body: Blob | undefined) => string = (id) => `mock-download:${id}`;

  constructor(private readonly backend: MockBackend) {}

  /** In place of an HTTP request to the store. */
  put: Put = async ({ url, body, onProgress }) => {
    onProgress(body.size);
    this.bodies.set(url.slice(UPLOAD.length), body);
  };

  /** A file that was sent long ago. */
  add(init: { fileName: string; contentType: string; width?: number; height?: number }, body: Blob): Attachment {
    const attachment = create(AttachmentSchema, { ...init, attachmentId: this.backend.id("file"), sizeBytes: BigInt(body.size) });
    this.bodies.set(attachment.attachmentId, body);
    return attachment;
  }

  take(attachmentIds: readonly string[]): Attachment[] {
    return attachmentIds.map((id) => {
      const attachment = this.announced.get(id);
      if (!attachment) throw new ConnectError("no such attachment", Code.NotFound);
      return attachment;
    });
  }

  methodsOf(userId: string) {
    const expireTime = () => timestampFromMs(this.backend.now() + ADDRESS_MS);
    return {
      createUpload: ({ clientUploadId, fileName, contentType, sizeBytes, width, height }: CreateUploadRequest) => {
        this.backend.count("createUpload");
        const id = `file-of-${userId}-${clientUploadId}`;
        const attachment = create(AttachmentSchema, { attachmentId: id, fileName, contentType, sizeBytes, width, height });
        this.announced.set(id, attachment);
        return { attachment, uploadUrl: `${UPLOAD}${id}`, headers: { "content-type": contentType }, expireTime: expireTime() };
      },
      getDownload: ({ attachmentId }: { attachmentId: string }) => {
        this.backend.count("getDownload");
        return { downloadUrl: this.addressOf(attachmentId, this.bodies.get(attachmentId)), expireTime: expireTime() };
      },
      openViewOnce: ({ conversationId, seq }: OpenViewOnceRequest) => {
        this.backend.count("openViewOnce");
        const message = this.backend.stored(conversationId).messages[Number(seq) - 1];
        const id = message?.attachments[0]?.attachmentId;
        if (!message?.viewOnce || id === undefined) throw new ConnectError("no such attachment", Code.NotFound);
        if (message.openedByUserIds.includes(userId)) throw new ConnectError("it was opened already", Code.FailedPrecondition);
        const changed = this.backend.changeMessage(conversationId, Number(seq), { openedByUserIds: [...message.openedByUserIds, userId] });
        return { downloadUrl: this.addressOf(id, this.bodies.get(id)), expireTime: expireTime(), message: changed };
      },
    };
  }
}
