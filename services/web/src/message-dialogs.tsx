import type { JSX } from "preact";
import type { Conversation, Message, ParleyClient } from "@parley/client";
import { ConfirmDialog } from "./confirm-dialog";
import { EditHistory } from "./edit-history";
import { ForwardDialog } from "./forward-dialog";
import type { Viewer } from "./conversation-text";
import { ReadBy } from "./read-by";
import { ReportDialog } from "./report-dialog";
import { SafetyDialog } from "./safety-dialog";
import { VanishDialog } from "./vanish-dialog";
import { t } from "./text";

/** Which window is open over a conversation. */
export type OpenDialog =
  | { readonly kind: "unsend" | "history" | "readers" | "forward"; readonly message: Message }
  /** Without messages it is about the conversation as a whole; with a person, about what that one wrote. */
  | { readonly kind: "report"; readonly seqs: readonly number[]; readonly userId?: string }
  | { readonly kind: "block" | "safety"; readonly userId: string }
  | { readonly kind: "vanishing" };

interface MessageDialogsProps {
  readonly dialog: OpenDialog;
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly onClose: () => void;
}

export function MessageDialogs({ dialog, ...props }: MessageDialogsProps): JSX.Element {
  const { client, conversation, viewer, onClose } = props;
  switch (dialog.kind) {
    case "history":
      return <EditHistory message={dialog.message} {...props} />;
    case "forward":
      return <ForwardDialog message={dialog.message} {...props} />;
    case "readers":
      return <ReadBy message={dialog.message} {...props} />;
    case "report":
      return <ReportDialog seqs={dialog.seqs} userId={dialog.userId} {...props} />;
    case "safety":
      return <SafetyDialog client={client} conversationId={conversation.id} userId={dialog.userId} name={viewer.nameOf(dialog.userId)} onClose={onClose} />;
    case "vanishing":
      return <VanishDialog {...props} />;
    case "block":
      return (
        <ConfirmDialog
          title={t("block.ask", { name: viewer.nameOf(dialog.userId) })}
          body={t("block.hint")}
          verb={t("block")}
          danger
          act={() => client.relations.block(dialog.userId)}
          onClose={onClose}
        />
      );
    case "unsend":
      return (
        <ConfirmDialog
          title={t("unsend.ask")}
          body={t("unsend.hint")}
          verb={t("menu.unsend")}
          danger
          act={() => client.messaging.unsend(conversation.id, dialog.message.seq)}
          onClose={onClose}
        />
      );
  }
}
