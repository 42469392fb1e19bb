import { useEffect, useRef, useState } from "preact/hooks";
import type { Attachment, Failure, ParleyClient } from "@parley/client";
import { previews } from "./previews";

export interface AttachmentProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly seq: number | undefined;
  readonly attachment: Attachment;
}

/** A picture's address, asked for again when it has ended; undefined while it is not there, with a line when it cannot be. */
export function usePicture({ client, conversationId, seq, attachment }: AttachmentProps) {
  const [address, setAddress] = useState(previews.of(attachment.id));
  const [problem, setProblem] = useState("");
  const renewed = useRef(false);
  const load = (): void => {
    if (seq === undefined) return;
    setProblem("");
    const ref = { conversationId, seq, attachmentId: attachment.id };
    client.downloads.url(ref).then(setAddress, (failure: Failure) => setProblem(failure.line));
  };
  useEffect(() => {
    if (!address) load();
  }, [attachment.id, seq]);
  /** The picture could not be drawn: its address may have ended. Once only, or a broken file would be asked for for ever. */
  const onError = (): void => {
    if (renewed.current) return setProblem("This picture could not be loaded.");
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

/** Has the browser fetch a file. The address ends soon, so it is asked for when it is needed. */
export async function saveFile(client: ParleyClient, conversationId: string, seq: number, { id, fileName }: Attachment): Promise<void> {
  try {
    const link = document.createElement("a");
    link.href = await client.downloads.url({ conversationId, seq, attachmentId: id });
    link.download = fileName;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.click();
  } catch (error) {
    client.showNotice((error as Failure).line);
  }
}
