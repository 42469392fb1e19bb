import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Attachment, Message, ParleyClient } from "@parley/client";
import { listNames, onceLine, type Viewer } from "./conversation-text";
import { useModalDialog } from "./hooks";
import { Icon } from "./icons";
import { lineOf, made, type Problem, t } from "./text";

interface ViewOnceProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly viewer: Viewer;
}

/** A message that each recipient opens once: in words, and over the whole window while it is open. */
export function ViewOnceBox({ client, message, viewer }: ViewOnceProps): JSX.Element {
  const [address, setAddress] = useState("");
  const [problem, setProblem] = useState<Problem>(undefined);
  const [opening, setOpening] = useState(false);
  const { conversationId, seq, openedBy } = message;
  const [attachment] = message.attachments;
  const line = onceLine(message);
  const open = (): void => {
    setOpening(true);
    setProblem(undefined);
    client.downloads.openOnce(conversationId, seq).then(setAddress, setProblem).finally(() => setOpening(false));
  };
  const canOpen = attachment !== undefined && message.senderId !== viewer.selfId && !openedBy.includes(viewer.selfId);
  return (
    <>
      {canOpen ? (
        <button type="button" class="view-once" disabled={opening} onClick={open}>
          <Icon name="once" /> {line}
        </button>
      ) : (
        <p class="view-once">
          <Icon name="once" /> {line}
          <span class="view-once-state">{stateLine(message, viewer)}</span>
        </p>
      )}
      {problem && <p role="alert">{lineOf(problem)}</p>}
      {address && attachment && <OnceViewer attachment={attachment} address={address} line={line} onClose={() => setAddress("")} />}
    </>
  );
}

function stateLine({ attachments, senderId, openedBy }: Message, viewer: Viewer): string {
  if (openedBy.includes(viewer.selfId)) return t("once.opened");
  if (senderId === viewer.selfId && openedBy.length > 0) return t("once.opened.by", { names: made(listNames(openedBy, viewer)) });
  return attachments.length > 0 ? t("once.waiting") : t("once.gone");
}

interface OnceViewerProps {
  readonly attachment: Attachment;
  readonly address: string;
  readonly line: string;
  readonly onClose: () => void;
}

/** Nothing to save it by; its address is forgotten when it closes. */
function OnceViewer({ attachment, address, line, onClose }: OnceViewerProps): JSX.Element {
  const dialog = useModalDialog();
  const keep = (event: Event): void => event.preventDefault();
  const { contentType } = attachment;
  return (
    <dialog class="viewer" ref={dialog} aria-label={line} onCancel={onClose} onContextMenu={keep}>
      <header class="viewer-header">
        <span class="grow">{line}</span>
        <button type="button" class="icon-button" aria-label={t("close")} title={t("close.esc")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="viewer-body">
        {contentType.startsWith("image/") && <img src={address} alt={line} draggable={false} />}
        {contentType.startsWith("video/") && <video src={address} controls autoplay controlsList="nodownload" />}
        {contentType.startsWith("audio/") && <audio src={address} controls autoplay controlsList="nodownload" />}
      </div>
    </dialog>
  );
}
