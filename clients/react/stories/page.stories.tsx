import type { Message } from "@parley/client";
import { useState } from "react";
import { Call, CallButtons, Composer, ConversationList, Thread } from "../src/index.js";
import { someDays, Stage } from "./world.js";

export default { title: "All of it" };

function Page() {
  const [open, setOpen] = useState("hike");
  const [replyTo, setReplyTo] = useState<Message>();
  return (
    <div style={{ display: "grid", gridTemplateColumns: "280px 1fr", blockSize: "100%" }}>
      <ConversationList selected={open} onSelect={setOpen} />
      <div style={{ display: "flex", flexDirection: "column", minBlockSize: 0 }}>
        <CallButtons conversationId={open} />
        <Call />
        <Thread conversationId={open} onReply={setReplyTo} />
        <Composer conversationId={open} replyTo={replyTo} onReplyEnd={() => setReplyTo(undefined)} />
      </div>
    </div>
  );
}

export const Page_ = { name: "Page", render: () => <Stage seed={someDays}>{() => <Page />}</Stage> };
