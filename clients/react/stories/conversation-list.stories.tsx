import { useState } from "react";
import { ConversationList } from "../src/index.js";
import { someDays, Stage, text } from "./world.js";

export default { title: "ConversationList", component: ConversationList };

function Inbox() {
  const [selected, setSelected] = useState("hike");
  return <ConversationList selected={selected} onSelect={setSelected} />;
}

export const SomeDays = { render: () => <Stage seed={someDays}>{() => <Inbox />}</Stage> };

export const Nothing = { render: () => <Stage seed={() => undefined}>{() => <ConversationList onSelect={() => undefined} />}</Stage> };

const ARABIC = { conversations: "المحادثات", loading: "جارٍ التحميل…", youSaid: (said: string) => `أنت: ${said}`, unread: (count: number) => `غير مقروءة: ${count}` };

export const Arabic = {
  render: () => (
    <Stage
      seed={(backend) => {
        const { conversationId } = backend.openDirect("alice", "layla");
        backend.post(conversationId, "layla", text("مرحبًا أليس! هل وصلك البرنامج الجديد لحفل الجمعة؟"));
      }}
      labels={ARABIC}
      locale="ar"
      dir="rtl"
    >
      {() => <ConversationList onSelect={() => undefined} />}
    </Stage>
  ),
};
