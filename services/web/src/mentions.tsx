import type { AriaAttributes, JSX, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation, Person } from "@parley/client";
import { openMention } from "@parley/client";
import { Avatar } from "./avatar";
import type { Viewer } from "./conversation-text";
import { t } from "./text";

/** More would cover the conversation; typing on narrows them down. */
const MAX_OFFERED = 6;
const LIST_ID = "mentions";

export interface Mentions {
  readonly offered: readonly Person[];
  readonly active: number;
  readonly choose: (person: Person) => void;
  /** Looks where the caret is. */
  readonly look: () => void;
  /** Returns whether it used the key. */
  readonly onKeyDown: (event: KeyboardEvent) => boolean;
  readonly aria: AriaAttributes;
}

/** Whom a text in a conversation may mention. */
export function peopleOf(conversation: Conversation, { selfId, nameOf }: Viewer): Person[] {
  if (conversation.kind === "direct") return [];
  const others = conversation.members.filter((m) => m.userId !== selfId);
  return others.map(({ userId }) => ({ userId, name: nameOf(userId) }));
}

/** Offers people while `@` and the beginning of a name are before the caret. */
export function useMentions(field: RefObject<HTMLTextAreaElement | null>, text: string, change: (text: string) => void, people: readonly Person[]): Mentions {
  const [caret, setCaret] = useState(0);
  const [active, setActive] = useState(0);
  const [refusedAt, setRefusedAt] = useState(-1);
  const caretAfter = useRef<number | undefined>(undefined);
  const look = (): void => setCaret(field.current?.selectionStart ?? 0);
  const open = openMention(text, caret);
  const offered = open && open.start !== refusedAt ? match(people, open.typed) : [];
  useLayoutEffect(() => {
    if (caretAfter.current !== undefined) field.current?.setSelectionRange(caretAfter.current, caretAfter.current);
    caretAfter.current = undefined;
    look();
    if (!text) setRefusedAt(-1);
  }, [text]);
  useLayoutEffect(() => setActive(0), [offered.length]);
  const choose = (person: Person): void => {
    if (!open) return;
    const head = `${text.slice(0, open.start)}@${person.name} `;
    caretAfter.current = head.length;
    change(head + text.slice(caret));
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): boolean => {
    const person = offered[active];
    if (!person || !open) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setActive((active + step + offered.length) % offered.length);
    else if (event.key === "Enter" || event.key === "Tab") choose(person);
    else if (event.key === "Escape") setRefusedAt(open.start);
    else return false;
    event.preventDefault();
    return true;
  };
  return { offered, active, choose, look, onKeyDown, aria: ariaOf(offered, active) };
}

function ariaOf(offered: readonly Person[], active: number): AriaAttributes {
  const person = offered[active];
  if (!person) return { "aria-autocomplete": "list" };
  return { "aria-autocomplete": "list", "aria-controls": LIST_ID, "aria-activedescendant": optionId(person) };
}

function match(people: readonly Person[], typed: string): Person[] {
  const start = typed.toLocaleLowerCase();
  const begins = (text: string): boolean => text.toLocaleLowerCase().startsWith(start);
  return people.filter(({ userId, name }) => begins(userId) || name.split(/\s+/).some(begins)).slice(0, MAX_OFFERED);
}

const optionId = (person: Person): string => `mention-${person.userId}`;

export function MentionList({ mentions }: { mentions: Mentions }): JSX.Element | null {
  const { offered, active, choose } = mentions;
  if (offered.length === 0) return null;
  return (
    <ul class="mentions" id={LIST_ID} role="listbox" aria-label={t("mentions.people")}>
      {offered.map((person, i) => (
        <li key={person.userId} id={optionId(person)} role="option" aria-selected={i === active} onMouseDown={(event) => event.preventDefault()} onClick={() => choose(person)}>
          <Avatar userId={person.userId} name={person.name} size="tiny" />
          <bdi>{person.name}</bdi>
          {person.name !== person.userId && <span class="quiet">{person.userId}</span>}
        </li>
      ))}
    </ul>
  );
}
