/** The playground: one request at a time to the public API, and the events beside it. For developers, and in English. */
import "./style.css";
import { EventParser, pretty } from "./event-stream.js";
import { beginning, type Document, idsOf, type Operation, operationsOf } from "./openapi.js";
import { curlOf, type HttpRequest, requestOf } from "./request.js";

/** Older events leave the page. Raising it: one can look back further. Lowering it: the page stays light. */
const MAX_EVENTS = 200;
const DEVICE_KEY = "parley.playground.device";

const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const [user, operationSelect, json] = [byId<HTMLInputElement>("user"), byId<HTMLSelectElement>("operation"), byId<HTMLTextAreaElement>("json")];
const [follow, send] = [byId<HTMLButtonElement>("follow"), byId<HTMLButtonElement>("send")];

let operations: readonly Operation[] = [];
let operation: Operation | undefined;
let token = "";
let signedIn = "";
/** Ids of earlier answers, for the requests that want them. */
const known = new Map<string, string>([["deviceId", deviceId()]]);
let following: AbortController | undefined;
let lastEventId = "";

function deviceId(): string {
  const kept = sessionStorage.getItem(DEVICE_KEY);
  if (kept) return kept;
  const made = crypto.randomUUID();
  sessionStorage.setItem(DEVICE_KEY, made);
  return made;
}

const say = (id: string, text: string): void => void (byId(id).textContent = text);

function element<K extends keyof HTMLElementTagNameMap>(tag: K, text: string, ...children: Node[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.append(text, ...children);
  return made;
}

// Signing in.

async function signIn(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  const userId = user.value.trim();
  const body = JSON.stringify({ user_id: userId });
  const response = await fetch("/dev/login", { method: "POST", headers: { "content-type": "application/json" }, body }).catch(() => undefined);
  const answer = response?.ok ? ((await response.json()) as { token: string }) : undefined;
  if (!answer) return say("who", "There is no development login here for this user.");
  [token, signedIn] = [answer.token, userId];
  lastEventId = "";
  say("who", `Signed in as ${userId}.`);
  showRequest();
  void startFollowing();
}

async function offerUsers(): Promise<void> {
  const response = await fetch("/dev/users").catch(() => undefined);
  const body = response?.ok ? ((await response.json()) as { users?: { user_id: string; name: string }[] }) : {};
  for (const { user_id, name } of body.users ?? []) {
    const option = element("option", name);
    option.value = user_id;
    byId("users").append(option);
  }
}

// The request.

function offerOperations(): void {
  const groups = new Map<string, HTMLOptGroupElement>();
  for (const { id, service, method, path } of operations) {
    const group = groups.get(service) ?? document.createElement("optgroup");
    group.label = service;
    groups.set(service, group);
    const option = element("option", `${id} (${method} ${path})`);
    option.value = id;
    group.append(option);
  }
  operationSelect.append(...groups.values());
}

function choose(id: string): void {
  operation = operations.find((one) => one.id === id);
  if (!operation) return;
  operationSelect.value = id;
  say("about", operation.summary);
  say("description", operation.description);
  const rows = operation.fields.map(({ name, type, place, description }) => {
    const head = element("th", name);
    head.scope = "row";
    return element("tr", "", head, element("td", type), element("td", place), element("td", description));
  });
  byId("fields").replaceChildren(...rows);
  json.value = JSON.stringify(beginning(operation, known, () => crypto.randomUUID()), undefined, 2);
  showRequest();
}

function showRequest(): HttpRequest | undefined {
  const request = operation && requestOf(operation, json.value);
  const isGood = typeof request === "object";
  say("problem", typeof request === "string" ? request : "");
  say("curl", isGood ? curlOf(request, location.origin, signedIn) : "");
  say("events-curl", curlOf({ method: "GET", path: `/v1/events?deviceId=${known.get("deviceId")}`, body: "" }, location.origin, signedIn));
  json.setAttribute("aria-invalid", String(!isGood));
  send.disabled = !isGood;
  return isGood ? request : undefined;
}

async function sendRequest(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  const request = showRequest();
  if (!request || !operation) return;
  if (operation.isStream) {
    say("status", "The events come in their own part of this page.");
    return startFollowing();
  }
  const began = performance.now();
  say("status", "Sent.");
  say("answer", "");
  try {
    const { method, path, body } = request;
    const response = await fetch(path, { method, headers: headers(body ? { "content-type": "application/json" } : {}), ...(body ? { body } : {}) });
    const text = await response.text();
    say("status", `${response.status} ${response.statusText} after ${Math.round(performance.now() - began)} ms`);
    say("answer", pretty(text));
    if (response.ok) for (const [name, value] of idsOf(JSON.parse(text))) known.set(name, value);
  } catch (error) {
    say("status", `No answer: ${(error as Error).message}`);
  }
}

const headers = (more: Record<string, string>): Record<string, string> => ({ ...more, ...(token ? { authorization: `Bearer ${token}` } : {}) });

// Events.

async function startFollowing(): Promise<void> {
  following?.abort();
  const mine = new AbortController();
  following = mine;
  follow.textContent = "Stop";
  say("following", "Connecting.");
  const why = await followUntilEnd(mine.signal).catch((error: Error) => (mine.signal.aborted ? "Stopped." : `The stream broke: ${error.message}`));
  // Another one has begun meanwhile.
  if (following !== mine) return;
  following = undefined;
  follow.textContent = "Follow";
  say("following", why);
}

async function followUntilEnd(signal: AbortSignal): Promise<string> {
  const url = `/v1/events?deviceId=${known.get("deviceId")}`;
  const response = await fetch(url, { headers: headers(lastEventId ? { "last-event-id": lastEventId } : {}), signal });
  if (!response.ok || !response.body) return `Refused: ${pretty(await response.text())}`;
  say("following", "Following.");
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return "The server has ended the stream.";
    for (const { name, data, id } of parser.push(value)) {
      lastEventId = id || lastEventId;
      showEvent(name, data);
    }
  }
}

function showEvent(name: string, data: string): void {
  const list = byId<HTMLOListElement>("events");
  const time = new Date().toLocaleTimeString("en-GB");
  list.prepend(element("li", "", element("b", name), element("time", ` ${time}`), element("pre", pretty(data))));
  while (list.children.length > MAX_EVENTS) list.lastElementChild?.remove();
}

// Begins.

async function start(): Promise<void> {
  byId<HTMLFormElement>("sign-in").onsubmit = (event) => void signIn(event);
  byId<HTMLFormElement>("request").onsubmit = (event) => void sendRequest(event);
  operationSelect.onchange = () => choose(operationSelect.value);
  json.oninput = () => void showRequest();
  follow.onclick = () => (following ? following.abort() : void startFollowing());
  byId("clear").onclick = () => byId("events").replaceChildren();
  await Promise.all([offerUsers(), loadOperations()]);
}

async function loadOperations(): Promise<void> {
  try {
    const response = await fetch("/openapi.json");
    operations = operationsOf((await response.json()) as Document);
  } catch (error) {
    return say("problem", `There is no API here: ${(error as Error).message}`);
  }
  offerOperations();
  choose("CreateDirectConversation");
}

void start();
