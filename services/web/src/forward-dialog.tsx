import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Failure, Message, ParleyClient } from "@parley/client";
import { MAX_FORWARD_TARGETS } from "@parley/client";
import { titleOf, type Viewer } from "./conversation-text";
import { Modal } from "./modal";
import { fieldDirection, lineOf, made, type Problem, t } from "./text";

interface ForwardDialogProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly viewer: Viewer;
  readonly onClose: () => void;
}

interface Choice {
  readonly id: string;
  readonly name: string;
}

/** Where a message is to be forwarded to. */
export function ForwardDialog({ client, message, viewer, onClose }: ForwardDialogProps): JSX.Element {
  const [filter, setFilter] = useState("");
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const { busy, problem, refused, run } = useForwarding(client, message, onClose);
  const choices = choicesOf(client, viewer);
  const wanted = filter.trim().toLocaleLowerCase();
  const toggle = (id: string): void => setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id]);
  const submit = (event: Event): void => {
    event.preventDefault();
    void run(chosen).then(setChosen);
  };
  return (
    <Modal title={t("forward.title")} onClose={onClose}>
      <form class="stacked" onSubmit={submit}>
        <input type="search" value={filter} aria-label={t("forward.filter")} placeholder={t("forward.filter")} {...fieldDirection(filter)} onInput={(event) => setFilter(event.currentTarget.value)} />
        <fieldset class="choices forward-choices" disabled={busy}>
          <legend class="visually-hidden">{t("forward.title")}</legend>
          {choices
            .filter(({ name }) => name.toLocaleLowerCase().includes(wanted))
            .map(({ id, name }) => (
              <label key={id}>
                <input type="checkbox" checked={chosen.includes(id)} disabled={!chosen.includes(id) && chosen.length >= MAX_FORWARD_TARGETS} onChange={() => toggle(id)} />
                <bdi>{name}</bdi>
              </label>
            ))}
        </fieldset>
        <div class="problem" role="alert">
          {lineOf(problem)}
          {choices.map(({ id, name }) => {
            const failure = refused.get(id);
            return failure && <p key={id}>{t("forward.refused", { name, line: made(lineOf(failure)) })}</p>;
          })}
        </div>
        <div class="question-buttons">
          <button type="button" class="plain" onClick={onClose}>
            {t("cancel")}
          </button>
          <button type="submit" class="primary" disabled={busy || chosen.length === 0}>
            {t("forward.send")}
          </button>
        </div>
      </form>
    </Modal>
  );
}

/** All conversations that the user has let in, as in the list. */
function choicesOf(client: ParleyClient, viewer: Viewer): Choice[] {
  const views = client.messaging.store.list().filter((view) => view.own.request === "none");
  return views.map(({ conversation }) => ({ id: conversation.id, name: titleOf(conversation, viewer).name }));
}

/** Forwards; what was refused stays chosen. One id for each conversation while the window is open, so that nothing goes twice. */
function useForwarding(client: ParleyClient, { conversationId, seq }: Message, onClose: () => void) {
  const ids = useRef(new Map<string, string>());
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>(undefined);
  const [refused, setRefused] = useState<ReadonlyMap<string, Failure>>(new Map());
  const idFor = (target: string): string => {
    const id = ids.current.get(target) ?? crypto.randomUUID();
    ids.current.set(target, id);
    return id;
  };
  const run = async (targets: readonly string[]): Promise<readonly string[]> => {
    setBusy(true);
    setProblem(undefined);
    setRefused(new Map());
    try {
      const left = await client.forwarding.forward(conversationId, seq, new Map(targets.map((id) => [id, idFor(id)])));
      setRefused(left);
      if (left.size > 0) return [...left.keys()];
      client.showNotice(t("forward.done"));
      onClose();
      return [];
    } catch (error) {
      setProblem(error as Failure);
      return targets;
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, refused, run };
}
