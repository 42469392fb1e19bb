import type { JSX } from "preact";
import type { Outgoing, ParleyClient } from "../parley";
import { callLine, timeOfDay } from "./format";
import { Icon } from "./icons";
import type { Row } from "./timeline";

interface MessageRowProps {
  readonly row: Row;
  readonly client: ParleyClient;
  readonly conversationId: string;
}

export function MessageRow({ row, client, conversationId }: MessageRowProps): JSX.Element | null {
  if (row.kind === "day") return <h3 class="day">{row.label}</h3>;
  if (row.kind === "call") return <CallRow row={row} selfId={client.userId} />;
  const classes = ["row", row.own ? "own" : "other", row.first && "first", row.last && "last", row.outgoing && row.outgoing.state];
  return (
    <div class={classes.filter(Boolean).join(" ")}>
      <div class="bubble">
        <span class="visually-hidden">{row.own ? "You: " : ""}</span>
        <span class="text" dir="auto">
          {row.text}
        </span>
        <span class="meta">
          <time dateTime={new Date(row.timeMs).toISOString()}>{timeOfDay(row.timeMs)}</time>
        </span>
      </div>
      {row.outgoing && <Pending outgoing={row.outgoing} client={client} conversationId={conversationId} />}
      {!row.outgoing && row.status && <p class="status">{row.status === "read" ? "Read" : "Sent"}</p>}
    </div>
  );
}

interface PendingProps {
  readonly outgoing: Outgoing;
  readonly client: ParleyClient;
  readonly conversationId: string;
}

function Pending({ outgoing, client, conversationId }: PendingProps): JSX.Element {
  if (outgoing.state === "sending") return <p class="status">Sending…</p>;
  const { clientMessageId } = outgoing;
  return (
    <p class="status failed" role="alert">
      <span>Not sent. {outgoing.problem}</span>{" "}
      <button type="button" onClick={() => client.messaging.retry(conversationId, clientMessageId)}>
        Try again
      </button>{" "}
      <button type="button" onClick={() => client.messaging.discard(conversationId, clientMessageId)}>
        Delete
      </button>
    </p>
  );
}

function CallRow({ row, selfId }: { row: Extract<Row, { kind: "call" }>; selfId: string }): JSX.Element | null {
  const { content, senderId, sendTimeMs } = row.message;
  if (content.kind !== "call") return null;
  const own = senderId === selfId;
  const missed = !own && ["missed", "cancelled", "busy"].includes(content.outcome);
  return (
    <div class={`call-row ${missed ? "missed" : ""}`} data-testid="call-record">
      <Icon name={missed ? "missed" : content.video ? "video" : "phone"} />
      <span>{callLine(content, own)}</span>
      <time class="quiet" dateTime={new Date(sendTimeMs).toISOString()}>
        {timeOfDay(sendTimeMs)}
      </time>
    </div>
  );
}
