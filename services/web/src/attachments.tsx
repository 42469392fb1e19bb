import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Attachment, ParleyClient } from "@parley/client";
import { type AttachmentProps, saveFile, usePicture } from "./attachment-loading";
import { Icon } from "./icons";
import { isPicture } from "./file-picker";
import { PictureViewer } from "./picture-viewer";
import { lineOf, made, sizeLine, t } from "./text";

/** A picture in a bubble is at most this wide and high, in pixels. */
const MAX_PICTURE_PX = 300;
/** Where a picture's size is not known. */
const DEFAULT_PICTURE_PX = 220;

interface AttachmentsProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  /** Undefined while the message is on its way: then only this device's own pictures can be shown. */
  readonly seq: number | undefined;
  readonly attachments: readonly Attachment[];
}

/** A message's files: pictures as such, everything else to download. */
export function Attachments({ client, conversationId, seq, attachments }: AttachmentsProps): JSX.Element | null {
  const [viewed, setViewed] = useState<Attachment | undefined>(undefined);
  if (attachments.length === 0) return null;
  const common = { client, conversationId, seq };
  const several = attachments.filter((a) => isPicture(a.contentType)).length > 1;
  return (
    <div class={`attachments ${several ? "several" : ""}`}>
      {attachments.map((attachment) =>
        isPicture(attachment.contentType) ? (
          <PictureBox key={attachment.id} attachment={attachment} onView={() => setViewed(attachment)} {...common} />
        ) : (
          <FileRow key={attachment.id} attachment={attachment} {...common} />
        ),
      )}
      {viewed && seq !== undefined && <PictureViewer attachment={viewed} client={client} conversationId={conversationId} seq={seq} onClose={() => setViewed(undefined)} />}
    </div>
  );
}

function PictureBox({ onView, ...props }: AttachmentProps & { onView: () => void }): JSX.Element {
  const { attachment } = props;
  const { address, problem, onError, retry } = usePicture(props);
  const [width, height] = [attachment.width || DEFAULT_PICTURE_PX, attachment.height || DEFAULT_PICTURE_PX];
  const scale = Math.min(1, MAX_PICTURE_PX / Math.max(width, height));
  const style = { width: `${Math.round(width * scale)}px`, aspectRatio: `${width} / ${height}` };
  if (problem) {
    return (
      <button type="button" class="picture broken" style={style} onClick={retry}>
        <Icon name="retry" />
        {lineOf(problem)}
      </button>
    );
  }
  return (
    <button type="button" class="picture" style={style} aria-label={t("picture.open", { name: attachment.fileName })} onClick={onView}>
      {address && <img src={address} alt={attachment.fileName} onError={onError} />}
    </button>
  );
}

/** `ZIP, 640 kB`: the end of a long name may not be seen. */
function kindLine({ fileName, sizeBytes }: Attachment): string {
  const end = fileName.includes(".") ? fileName.split(".").at(-1) : "";
  const size = made(sizeLine(sizeBytes));
  return end ? t("file.kind", { kind: end.toUpperCase(), size }) : size.made;
}

/** A file to download. */
export function FileRow({ client, conversationId, seq, attachment }: AttachmentProps): JSX.Element {
  const { fileName, sizeBytes } = attachment;
  const download = (): void => {
    if (seq !== undefined) void saveFile(client, conversationId, seq, attachment);
  };
  return (
    <button type="button" class="file-row" disabled={seq === undefined} aria-label={t("file.download", { name: fileName, size: made(sizeLine(sizeBytes)) })} onClick={download}>
      <span class="file-icon">
        <Icon name="file" />
      </span>
      <span class="grow">
        <span class="file-name" dir="auto">
          {fileName}
        </span>
        <span class="file-size">{kindLine(attachment)}</span>
      </span>
      <Icon name="download" />
    </button>
  );
}
