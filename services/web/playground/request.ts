/** What is sent for what one types, and the same with curl. */
import type { Operation, Place } from "./openapi.js";

export interface HttpRequest {
  readonly method: string;
  /** From the slash on. */
  readonly path: string;
  /** Empty without a body. */
  readonly body: string;
}

/** The request, or what is wrong with the text, in a sentence. */
export function requestOf(operation: Operation, text: string): HttpRequest | string {
  let typed: unknown;
  try {
    typed = JSON.parse(text.trim() || "{}");
  } catch (error) {
    return `This is no JSON: ${(error as Error).message}`;
  }
  if (typeof typed !== "object" || typed === null || Array.isArray(typed)) return "A request is an object, in braces.";
  const places = new Map(operation.fields.map(({ name, place }) => [name, place]));
  const of = (wanted: Place): [string, unknown][] => Object.entries(typed).filter(([name]) => places.get(name) === wanted);
  // The service passes over what it does not know in a body; here it is most likely a slip.
  const unknown = Object.keys(typed).find((name) => !places.has(name));
  if (unknown !== undefined) return `${operation.id} has no field ${unknown}.`;
  const inPath = new Map(of("path"));
  const missing = operation.fields.find(({ name, place }) => place === "path" && !asText(inPath.get(name)));
  if (missing) return `The path needs ${missing.name}.`;
  const path = operation.path.replace(/{(\w+)}/g, (_, name: string) => encodeURIComponent(asText(inPath.get(name))));
  const query = queryOf(of("query"));
  const hasBody = operation.fields.some(({ place }) => place === "body") || !["GET", "DELETE"].includes(operation.method);
  return { method: operation.method, path: query ? `${path}?${query}` : path, body: hasBody ? JSON.stringify(Object.fromEntries(of("body"))) : "" };
}

function queryOf(fields: readonly [string, unknown][]): string {
  const pairs = fields.flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => [name, asText(one)]));
  return new URLSearchParams(pairs.filter(([, value]) => value !== "") as [string, string][]).toString();
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
}

/** The lines that do the same in a shell, beginning with the login. */
export function curlOf(request: HttpRequest, origin: string, userId: string): string {
  const parts = [`curl -sS${request.path.startsWith("/v1/events") ? "N" : ""}`];
  if (request.method !== (request.body ? "POST" : "GET")) parts.push(`-X ${request.method}`);
  parts.push(quoted(`${origin}${request.path}`), '-H "Authorization: Bearer $TOKEN"');
  if (request.body) parts.push(`-d ${quoted(request.body)}`);
  return `${loginOf(origin, userId)}\n${parts.join(" \\\n  ")}`;
}

function loginOf(origin: string, userId: string): string {
  const body = quoted(JSON.stringify({ user_id: userId || "alice" }));
  return `TOKEN=$(curl -sS ${quoted(`${origin}/dev/login`)} -d ${body} | sed 's/.*"token": *"\\([^"]*\\)".*/\\1/')`;
}

/** As one word of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
