import { Code, ConnectError } from "@connectrpc/connect";
import { Thread } from "../src/index.js";
import { aLongTalk, someDays, somePreview, Stage } from "./world.js";

export default { title: "Thread", component: Thread };

export const Direct = { render: () => <Stage seed={someDays}>{({ bob }) => <Thread conversationId={bob} />}</Stage> };

export const Group = { render: () => <Stage seed={someDays}>{({ hike }) => <Thread conversationId={hike} onReply={() => undefined} />}</Stage> };

export const Preview = { render: () => <Stage seed={somePreview}>{(id) => <Thread conversationId={id} />}</Stage> };

export const Nothing = { render: () => <Stage seed={(backend) => backend.openDirect("alice", "bob").conversationId}>{(id) => <Thread conversationId={id} />}</Stage> };

/** Older ones come while one scrolls up; some fifty rows are in the page at a time. */
export const TenThousand = { render: () => <Stage seed={(backend) => aLongTalk(backend, 10_000)} act={(client, _, id) => void client.messaging.loadUntil(id, 1)}>{(id) => <Thread conversationId={id} />}</Stage> };

export const NotSent = {
  render: () => (
    <Stage
      seed={someDays}
      act={(client, backend, { bob }) => {
        backend.faults.set("sendMessage", new ConnectError("no", Code.InvalidArgument));
        client.messaging.send(bob, "This cannot be sent");
      }}
    >
      {({ bob }) => <Thread conversationId={bob} />}
    </Stage>
  ),
};
