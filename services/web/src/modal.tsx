import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import { useModalDialog } from "./hooks";
import { Icon } from "./icons";
import { t } from "./text";

interface ModalProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}

/** A window over the page, with a title; closed by its button, Escape, or a click beside it. */
export function Modal({ title, onClose, wide = false, children }: ModalProps): JSX.Element {
  const dialog = useModalDialog();
  const titleId = useId();
  const onClick = (event: MouseEvent): void => {
    if (event.target === dialog.current) onClose();
  };
  const onCancel = (event: Event): void => {
    // A window within this one has closed; or a file was not chosen.
    if (event.target !== dialog.current) return;
    event.preventDefault();
    onClose();
  };
  return (
    <dialog class={`modal ${wide ? "wide" : ""}`} ref={dialog} aria-labelledby={titleId} onClick={onClick} onCancel={onCancel}>
      <div class="modal-frame">
        <div class="modal-header">
          <h2 class="grow" id={titleId}>
            {title}
          </h2>
          <button type="button" class="icon-button" aria-label={t("close")} title={t("close.esc")} onClick={onClose}>
            <Icon name="close" />
          </button>
        </div>
        <div class="modal-body">{children}</div>
      </div>
    </dialog>
  );
}
