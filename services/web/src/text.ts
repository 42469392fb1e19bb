import type { ComponentChildren } from "preact";
import type { DeviceProblems, Failure, Told, UserMessage } from "@parley/client";
import { displayName, saysWhenToRetry } from "@parley/client";
import { isolatedIn } from "./direction";
import { language } from "./language";
import type { Plural } from "./texts/catalog";
import type { en } from "./texts/en";

type Texts = (typeof en)["texts"];
export type Key = keyof Texts;

type NamesIn<T> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;
type NamesOf<K extends Key> = Texts[K] extends string ? NamesIn<Texts[K]> : "count" | NamesIn<Texts[K][keyof Texts[K]]>;
type Values<K extends Key> = { readonly [N in NamesOf<K>]: Value };
type Arguments<K extends Key> = [NamesOf<K>] extends [never] ? [] : [values: Values<K>];

/** Texts into which nothing is filled. */
export type PlainKey = { [K in Key]: [NamesOf<K>] extends [never] ? K : never }[Key];

/** A text that this page has made in its own language, in contrast to words that somebody wrote. */
export interface Made {
  readonly made: string;
}

export const made = (text: string): Made => ({ made: text });

/** What is filled in: a number; what somebody wrote, as a name; or what the page has made. */
export type Value = string | number | Made;

/** A text of the page in its language. */
export function t<K extends Key>(key: K, ...args: Arguments<K>): string {
  const [values] = args as readonly unknown[] as readonly [Readonly<Record<string, Value>>?];
  return fill(key, values ?? {});
}

/** A text with elements in its places: its parts in order. */
export function parts(key: Key, values: Readonly<Record<string, ComponentChildren>>): ComponentChildren[] {
  return templateOf(key, {})
    .split(/\{(\w+)\}/)
    .map((part, i) => (i % 2 === 0 ? part : values[part]));
}

function fill(key: Key, values: Readonly<Record<string, Value>>): string {
  return filled(templateOf(key, values), values);
}

function templateOf(key: Key, values: Readonly<Record<string, Value>>): string {
  const text: string | Plural = language.catalog.texts[key];
  if (typeof text === "string") return text;
  return text[language.formats.plurals.select(Number(values["count"] ?? 0))] ?? text.other;
}

function filled(template: string, values: Readonly<Record<string, Value>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => written(values[name] ?? ""));
}

function written(value: Value): string {
  if (typeof value === "number") return numberLine(value);
  return typeof value === "string" ? isolated(value) : value.made;
}

export function numberLine(value: number): string {
  return language.formats.numbers.format(value);
}

/** What somebody wrote, between words of the page (direction.ts). */
export function isolated(words: string): string {
  return isolatedIn(displayName(words), language.isRightToLeft);
}

/** `Alice, Bob and Carol`, of what somebody wrote. */
export function listOf(names: readonly Value[]): string {
  return language.formats.lists.format(names.map(written));
}

/** Something to tell: a failure, what the library tells, or a text of the page. */
export type Problem = Told | PlainKey | undefined;

/** What is told, as a line in the page's language; empty for nothing. */
export function lineOf(problem: Problem): string {
  if (problem === undefined) return "";
  if (typeof problem === "string") return fill(problem, {});
  return "key" in problem ? messageLine(problem) : failureLine(problem);
}

/** Of the library's own messages, those whose text depends on a number. */
const PLURALS: Partial<Record<UserMessage["key"], Key>> = { too_many_files: "too.many.files" };

function messageLine({ key, values }: UserMessage): string {
  const own = PLURALS[key];
  if (own) return fill(own, values);
  const { bytes } = values;
  return filled(language.catalog.messages[key], bytes === undefined ? values : { ...values, bytes: made(sizeLine(Number(bytes))) });
}

/** By its reason, else by the field that was not accepted, else by the code. A reason without a text is shown as it is, where it says more than the code. */
function failureLine({ reason, field, code, retryDelayMs }: Failure): string {
  const { reasons, fields, codes } = language.catalog;
  const named = textFor(reasons, reason) ?? textFor(fields, field);
  const general = named ?? textFor(codes, code);
  const line = general ?? t("wrong");
  const more = reason?.toLowerCase() === code ? undefined : reason;
  const unknown = named ? undefined : (more ?? (general ? undefined : code));
  if (unknown) return t("wrong.code", { line: made(line), code: unknown });
  return saysWhenToRetry(reason) ? sentences(line, retryLine(retryDelayMs)) : line;
}

function textFor(texts: Readonly<Record<string, string>>, key: string | undefined): string | undefined {
  return key !== undefined && Object.hasOwn(texts, key) ? texts[key] : undefined;
}

function sentences(first: string, second: string): string {
  return t("sentences", { first: made(first), second: made(second) });
}

function retryLine(delayMs: number): string {
  const minutes = Math.ceil(delayMs / 60_000);
  if (delayMs <= 0) return t("retry.later");
  if (delayMs < 60_000) return t("retry.moment");
  return minutes < 60 ? t("retry.minutes", { count: minutes }) : t("retry.hours", { count: Math.round(minutes / 60) });
}

/** What people cannot send, and why. */
export function deviceLine({ camera, microphone }: DeviceProblems): string {
  if (camera && camera === microphone) return t(`device.both.${camera}`);
  const lines = [camera && t(`device.camera.${camera}`), microphone && t(`device.microphone.${microphone}`)].filter((line) => line !== undefined);
  return lines.length === 2 ? sentences(lines[0] ?? "", lines[1] ?? "") : (lines[0] ?? "");
}

/** `640 kB`, `2.5 MB`. */
export function sizeLine(bytes: number): string {
  const [value, unit] = bytes < 1000 ? [bytes, "byte"] : bytes < 1024 * 1000 ? [bytes / 1024, "kilobyte"] : [bytes / (1024 * 1024), "megabyte"];
  return language.formats.sizes(unit).format(value < 10 ? value : Math.round(value));
}

/** The direction of a field: what is written in it decides, and while it is empty the page does. */
export function fieldDirection(text: string): { readonly dir?: "auto" } {
  return text ? { dir: "auto" } : {};
}
