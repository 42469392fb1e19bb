import { create } from "@bufbuild/protobuf";
import type { StickerProvider } from "@parley/client";
import { LimitsSchema } from "@parley/client/gen/parley/messaging/v1/relations_pb";
import { message } from "@parley/client/testing";
import { Composer } from "../src/index.js";
import { draftsOf } from "../src/live-drafts.js";
import { someDays, Stage } from "./world.js";

export default { title: "Composer", component: Composer };

export const Empty = { render: () => <Stage seed={someDays}>{({ bob }) => <Composer conversationId={bob} />}</Stage> };

export const TooLong = {
  render: () => (
    <Stage
      seed={(backend) => {
        backend.limits = create(LimitsSchema, { ...backend.limits, textChars: 20 });
        return someDays(backend);
      }}
      act={(client, _, { bob }) => draftsOf(client).set(bob, "A text that is longer than the service takes")}
    >
      {({ bob }) => <Composer conversationId={bob} />}
    </Stage>
  ),
};

/** Pictures that are nowhere: their words stand in for them. */
const STICKERS: StickerProvider = {
  search: async (words) => ["A cat", "A dog", "An owl"].filter((description) => description.includes(words)).map((description, at) => ({ url: `https://stickers.example/${at}.gif`, width: 200, height: 200, description })),
  credit: "Powered by somebody",
};

export const Stickers = { render: () => <Stage seed={someDays}>{({ bob }) => <Composer conversationId={bob} stickers={STICKERS} />}</Stage> };

export const Answer = { render: () => <Stage seed={someDays}>{({ bob }) => <Composer conversationId={bob} replyTo={message(1, { conversationId: bob })} onReplyEnd={() => undefined} />}</Stage> };
