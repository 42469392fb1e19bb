import { hostOf } from "./links.js";
import type { Entity } from "./model.js";

/** A part of a text, as it is drawn. */
export interface Segment {
  readonly text: string;
  readonly mention?: string;
  readonly url?: string;
}

export interface Person {
  readonly userId: string;
  readonly name: string;
}

// Punctuation at the end of an address mostly belongs to the sentence around it.
const LINK = /\bhttps?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]}]/giu;
const WORD = /[\p{L}\p{N}_]/u;

/** Whether an address may be followed from a page: a plain http or https address. */
export function isWebAddress(url: string): boolean {
  return hostOf(url) !== undefined;
}

/** The first `limit` mentions (`@` and a person's name, or id) and links of a text; ascending, not overlapping. */
export function findEntities(text: string, people: readonly Person[], limit = Infinity): Entity[] {
  const found = [...findLinks(text), ...findMentions(text, people)].sort((a, b) => a.start - b.start);
  const entities: Entity[] = [];
  let end = 0;
  for (const { start, length, ...entity } of found) {
    if (start < end || entities.length >= limit) continue;
    end = start + length;
    const place = { offset: codePoints(text.slice(0, start)), length: codePoints(text.slice(start, end)) };
    entities.push({ ...place, ...entity });
  }
  return entities;
}

/** In UTF-16 units, as strings of JavaScript count. */
type Found = { start: number; length: number } & ({ kind: "mention"; userId: string } | { kind: "link"; url: string });

function findLinks(text: string): Found[] {
  const links = [...text.matchAll(LINK)].map((m) => ({ start: m.index, length: m[0].length, kind: "link" as const, url: m[0] }));
  return links.filter((link) => isWebAddress(link.url));
}

function findMentions(text: string, people: readonly Person[]): Found[] {
  const labels = people.flatMap(({ userId, name }) => [name, userId].map((label) => ({ userId, label })));
  // The longest first: `@Ann Lee` is not `@Ann`.
  labels.sort((a, b) => b.label.length - a.label.length);
  const mentions: Found[] = [];
  for (let start = text.indexOf("@"); start >= 0; start = text.indexOf("@", start + 1)) {
    if (WORD.test(text[start - 1] ?? " ")) continue;
    const match = labels.find(({ label }) => text.startsWith(label, start + 1) && !WORD.test(text[start + 1 + label.length] ?? " "));
    if (match) mentions.push({ start, length: match.label.length + 1, kind: "mention", userId: match.userId });
  }
  return mentions;
}

/** A text cut at its entities. Those that do not fit the text, and links that are not http or https, are drawn as text. */
export function segments(text: string, entities: readonly Entity[]): Segment[] {
  const points = [...text];
  const parts: Segment[] = [];
  let at = 0;
  for (const entity of entities) {
    const end = entity.offset + entity.length;
    if (entity.offset < at || entity.length < 1 || end > points.length) continue;
    if (entity.offset > at) parts.push({ text: points.slice(at, entity.offset).join("") });
    const part = points.slice(entity.offset, end).join("");
    if (entity.kind === "mention") parts.push({ text: part, mention: entity.userId });
    else parts.push(isWebAddress(entity.url) ? { text: part, url: entity.url } : { text: part });
    at = end;
  }
  if (at < points.length) parts.push({ text: points.slice(at).join("") });
  return parts;
}

/** The unfinished mention before the caret: where its `@` stands and what follows it, or undefined. */
export function openMention(text: string, caret: number): { readonly start: number; readonly typed: string } | undefined {
  const match = /(?:^|[\s(])@([^\s@]{0,32})$/u.exec(text.slice(0, caret));
  if (!match) return undefined;
  const typed = match[1] ?? "";
  return { start: caret - typed.length - 1, typed };
}

function codePoints(text: string): number {
  return [...text].length;
}
