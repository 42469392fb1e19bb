import type { JSX } from "preact";
import { type AttachmentProps, saveFile, usePicture } from "./attachment-loading";
import { useModalDialog } from "./hooks";
import { Icon } from "./icons";
import { lineOf, t } from "./text";

interface PictureViewerProps extends AttachmentProps {
  readonly seq: number;
  readonly onClose: () => void;
}

/** One picture over the whole window. */
export function PictureViewer({ onClose, ...props }: PictureViewerProps): JSX.Element {
  const { client, conversationId, seq, attachment } = props;
  const dialog = useModalDialog();
  const { address, problem, onError } = usePicture(props);
  const onClick = (event: MouseEvent): void => {
    if (!(event.target as HTMLElement).closest("img, button")) onClose();
  };
  return (
    <dialog class="viewer" ref={dialog} aria-label={attachment.fileName} onClick={onClick} onCancel={onClose}>
      <header class="viewer-header">
        <span class="grow" dir="auto">
          {attachment.fileName}
        </span>
        <button type="button" class="icon-button" aria-label={t("download")} title={t("download")} onClick={() => void saveFile(client, conversationId, seq, attachment)}>
          <Icon name="download" />
        </button>
        <button type="button" class="icon-button" aria-label={t("close")} title={t("close.esc")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="viewer-body">
        {problem ? <p>{lineOf(problem)}</p> : address && <img src={address} alt={attachment.fileName} onError={onError} />}
      </div>
    </dialog>
  );
}
