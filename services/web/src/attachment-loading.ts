import { useEffect, useRef, useState } from "preact/hooks";
import type { Attachment, Failure, ParleyClient } from "@parley/client";
import { previews } from "./previews";
import type { Problem } from "./text";

export interface AttachmentProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly seq: number | undefined;
  readonly attachment: Attachment;
}

/** A picture's address, requested again when it has expired; undefined while it loads, with a line when it cannot be loaded. */
export function usePicture({ client, conversationId, seq, attachment }: AttachmentProps) {
  const [address, setAddress] = useState(previews.of(attachment.id));
  const [problem, setProblem] = useState<Problem>(undefined);
  const renewed = useRef(false);
  const load = (): void => {
    if (seq === undefined) return;
    setProblem(undefined);
    const ref = { conversationId, seq, attachmentId: attachment.id };
    client.downloads.url(ref).then(setAddress, setProblem);
  };
  useEffect(() => {
    if (!address) load();
  }, [attachment.id, seq]);
  /** The picture could not be drawn: its address may have expired. Once only, or a broken file would be requested for ever. */
  const onError = (): void => {
    if (renewed.current) return setProblem("picture.broken");
    renewed.current = true;
    client.downloads.forget(attachment.id);
    load();
  };
  const retry = (): void => {
    renewed.current = false;
    client.downloads.forget(attachment.id);
    load();
  };
  return { address, problem, onError, retry };
}

/** Downloads a file. Its address expires soon, so it is requested when it is needed. */
export async function saveFile(client: ParleyClient, conversationId: string, seq: number, { id, fileName }: Attachment): Promise<void> {
  try {
    const link = document.createElement("a");
    link.href = await client.downloads.url({ conversationId, seq, attachmentId: id });
    link.download = fileName;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.click();
  } catch (error) {
    client.showNotice(error as Failure);
  }
}
