/** Server-sent events, read from the pieces in which they come: https://html.spec.whatwg.org/multipage/server-sent-events.html */

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
  /** For Last-Event-ID; empty when none has come yet. */
  readonly id: string;
}

export class EventParser {
  private rest = "";
  private name = "";
  private data: string[] = [];
  private id = "";
  /** Comments: the server is there. */
  comments = 0;

  /** The events that this piece completes. */
  push(piece: string): StreamEvent[] {
    const text = this.rest + piece;
    // A CR at the end may be the half of a line's end.
    const end = text.endsWith("\r") ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|\r|\n/);
    this.rest = (lines.pop() ?? "") + text.slice(end);
    return lines.flatMap((line) => this.take(line));
  }

  private take(line: string): StreamEvent[] {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) {
      this.comments++;
      return [];
    }
    const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "event") this.name = value ?? "";
    if (field === "data") this.data.push(value ?? "");
    if (field === "id") this.id = value ?? "";
    return [];
  }

  private dispatch(): StreamEvent[] {
    const { name, data, id } = this;
    [this.name, this.data] = ["", []];
    return data.length > 0 ? [{ name: name || "message", data: data.join("\n"), id }] : [];
  }
}

/** Text as JSON for people, or as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
