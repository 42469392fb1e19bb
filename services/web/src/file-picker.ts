import { useEffect, useState } from "preact/hooks";
import type { ParleyClient, PickedFile, UserMessage } from "@parley/client";
import { contentTypeOf } from "@parley/client";
import { previews } from "./previews";

/** Files for the next message of a conversation. */
export interface FilePicker {
  /** Set when not all could be taken. */
  readonly problem: UserMessage | undefined;
  readonly add: (files: readonly File[]) => void;
}

export function useFilePicker(client: ParleyClient, conversationId: string, enabled: boolean): FilePicker {
  const [problem, setProblem] = useState<UserMessage | undefined>(undefined);
  useEffect(() => setProblem(undefined), [conversationId]);
  const add = async (files: readonly File[]): Promise<void> => {
    if (!enabled || files.length === 0) return;
    const picked = await Promise.all(files.map(read));
    const known = new Set(client.uploads.of(conversationId).map((upload) => upload.id));
    setProblem(client.uploads.add(conversationId, picked));
    const fresh = client.uploads.of(conversationId).filter((upload) => !known.has(upload.id));
    fresh.forEach((upload, i) => {
      const file = files[i];
      if (file && isPicture(upload.contentType)) previews.keep(upload.id, file);
    });
  };
  return { problem, add: (files) => void add(files) };
}

/** Pictures that every browser draws, and that cannot hold a program as SVG can. */
export function isPicture(contentType: string): boolean {
  return ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"].includes(contentType);
}

async function read(file: File): Promise<PickedFile> {
  const common = { name: file.name, contentType: contentTypeOf(file.type, file.name), body: file };
  if (!isPicture(common.contentType)) return common;
  const picture = await createImageBitmap(file).catch(() => undefined);
  if (!picture) return common;
  const { width, height } = picture;
  picture.close();
  return { ...common, width, height };
}
