import type { Message } from "@parley/client";
import { type ReactElement, useEffect, useRef, useState } from "react";
import type { Speaking } from "./message-line.js";
import { useParley } from "./provider.js";

/** Opens what each recipient opens once, over the whole window, or says that it was opened. */
export function ViewOnce({ message, speaking: { labels, selfId } }: { readonly message: Message; readonly speaking: Speaking }): ReactElement | null {
  const client = useParley();
  const [address, setAddress] = useState<string>();
  const [state, setState] = useState<"opening" | "failed">();
  const { conversationId, seq, openedBy, senderId } = message;
  const [attachment] = message.attachments;
  const canOpen = attachment !== undefined && senderId !== selfId && !openedBy.includes(selfId);
  const open = async (): Promise<void> => {
    setState("opening");
    try {
      setAddress(await client.downloads.openOnce(conversationId, seq));
      setState(undefined);
    } catch {
      setState("failed");
    }
  };
  return (
    <>
      {canOpen && (
        <button type="button" className="parley-button" disabled={state === "opening"} onClick={() => void open()}>
          {labels.openOnce}
        </button>
      )}
      {!canOpen && openedBy.length > 0 && <span className="parley-note">{labels.opened}</span>}
      {state === "failed" && (
        <span className="parley-problem" role="alert">
          {labels.fileFailed}
        </span>
      )}
      {address !== undefined && <Viewer address={address} contentType={attachment?.contentType ?? ""} label={labels.viewOnce} close={labels.closeOnce} onClose={() => setAddress(undefined)} />}
    </>
  );
}

interface ViewerProps {
  readonly address: string;
  readonly contentType: string;
  readonly label: string;
  readonly close: string;
  readonly onClose: () => void;
}

/** Nothing to save it by; its address is forgotten when it closes. */
function Viewer({ address, contentType, label, close, onClose }: ViewerProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const box = dialog.current;
    const opener = document.activeElement;
    box?.showModal?.();
    return () => {
      box?.close?.();
      // Browsers give the focus back themselves, but not from a dialog that has left the page by now.
      if (opener instanceof HTMLElement && document.activeElement === document.body) opener.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} className="parley-viewer" aria-label={label} onCancel={onClose} onContextMenu={(event) => event.preventDefault()}>
      <button type="button" className="parley-button" onClick={onClose}>
        {close}
      </button>
      <Opened address={address} contentType={contentType} label={label} />
    </dialog>
  );
}

function Opened({ address, contentType, label }: Pick<ViewerProps, "address" | "contentType" | "label">): ReactElement {
  if (contentType.startsWith("video/")) return <video className="parley-viewer-media" src={address} controls autoPlay controlsList="nodownload" />;
  if (contentType.startsWith("audio/")) return <audio className="parley-viewer-media" src={address} controls autoPlay controlsList="nodownload" aria-label={label} />;
  return <img className="parley-viewer-media" src={address} alt={label} draggable={false} />;
}
