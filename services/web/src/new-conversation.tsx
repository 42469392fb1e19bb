import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure, ParleyClient } from "@parley/client";
import { isBlank } from "@parley/client";
import { maxLength } from "./max-length";
import { ProblemLine } from "./problem-line";
import { readIds } from "./user-ids";
import { fieldDirection, type Problem, t } from "./text";

interface NewConversationProps {
  readonly client: ParleyClient;
  readonly onOpen: (conversationId: string) => void;
}

/** Starts a conversation by user id, or a group. */
export function NewConversation(props: NewConversationProps): JSX.Element {
  const [group, setGroup] = useState(false);
  return (
    <div class="new-conversation">
      {group ? <NewGroup {...props} /> : <NewDirect {...props} />}
      <button type="button" class="plain small" onClick={() => setGroup(!group)}>
        {group ? t("new.person") : t("new.group")}
      </button>
    </div>
  );
}

/** Opens what a form makes; a failure's line is shown in the form. */
function useOpening(onOpen: (conversationId: string) => void) {
  const [problem, setProblem] = useState<Problem>(undefined);
  const [busy, setBusy] = useState(false);
  const run = async (make: () => Promise<string>): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    try {
      onOpen(await make());
    } catch (error) {
      setProblem(error as Failure);
      setBusy(false);
    }
  };
  return { problem, setProblem, busy, run };
}

function NewDirect({ client, onOpen }: NewConversationProps): JSX.Element {
  const [userId, setUserId] = useState("");
  const { problem, setProblem, busy, run } = useOpening(onOpen);
  const submit = (event: Event): void => {
    event.preventDefault();
    const peer = userId.trim();
    if (!peer) return;
    if (peer === client.userId) return setProblem("new.self");
    void run(() => client.messaging.openDirect(peer));
  };
  return (
    <form onSubmit={submit}>
      <label for="peer-id">{t("new.whom")}</label>
      <div class="field-row">
        <Field id="peer-id" value={userId} placeholder={t("new.id")} onChange={setUserId} focused />
        <button type="submit" class="primary" disabled={busy || !userId.trim()}>
          {t("new.start")}
        </button>
      </div>
      <ProblemLine problem={problem} />
    </form>
  );
}

function NewGroup({ client, onOpen }: NewConversationProps): JSX.Element {
  const [title, setTitle] = useState("");
  const [ids, setIds] = useState("");
  const { problem, busy, run } = useOpening(onOpen);
  const people = readIds(ids).filter((id) => id !== client.userId);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (!isBlank(title)) void run(() => client.groups.create(title.trim(), people));
  };
  return (
    <form onSubmit={submit}>
      <label for="group-title">{t("group.name")}</label>
      <div class="field-row">
        <Field id="group-title" value={title} placeholder={t("group.name.example")} maxChars={client.limits.titleChars} onChange={setTitle} focused />
      </div>
      <label for="group-people">{t("group.people")}</label>
      <div class="field-row">
        <Field id="group-people" value={ids} placeholder={t("new.ids")} onChange={setIds} />
        <button type="submit" class="primary" disabled={busy || isBlank(title)}>
          {t("group.create")}
        </button>
      </div>
      <ProblemLine problem={problem} />
    </form>
  );
}

interface FieldProps {
  readonly id: string;
  readonly value: string;
  readonly placeholder: string;
  readonly maxChars?: number;
  readonly focused?: boolean;
  readonly onChange: (value: string) => void;
}

function Field({ id, value, placeholder, maxChars = Infinity, focused = false, onChange }: FieldProps): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focused) input.current?.focus();
  }, []);
  return (
    <input
      id={id}
      ref={input}
      value={value}
      {...fieldDirection(value)}
      placeholder={placeholder}
      autocomplete="off"
      autocapitalize="none"
      spellcheck={false}
      {...maxLength(maxChars)}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
}
