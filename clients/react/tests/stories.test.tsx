import axe from "axe-core";
import { StrictMode } from "react";
import { expect, test } from "vitest";
import { allStories } from "../stories/all.js";
import { draw, until } from "./support.js";

const STORIES = allStories();
/** What each story shows when it is there. */
const SHOWS: Readonly<Record<string, string>> = {
  "ConversationList/SomeDays": "Bob Lindqvist",
  "ConversationList/Nothing": "No conversations yet",
  "ConversationList/Arabic": "ليلى حداد",
  "Thread/Direct": "programme-friday-evening.pdf",
  "Thread/Group": "Chidi Okafor",
  "Thread/Preview": "Friday evening: the programme",
  "Thread/Nothing": "No messages yet",
  "Thread/TenThousand": "Message 10000",
  "Thread/NotSent": "Delete",
  "Composer/Empty": "Send",
  "Composer/TooLong": "Too long by",
  "Composer/Stickers": "Stickers",
  "Composer/Answer": "Do not reply",
  "Call/Start": "Video call Bob Lindqvist",
  "Call/Rings": "Video call from Bob Lindqvist",
  "Call/WithBob": "Hang up",
  "Call/InAGroup": "Chidi Okafor",
  "All of it/Page": "Shall we take the ridge",
};

test("every story is named here", () => {
  expect(STORIES.map(({ name }) => name).sort()).toEqual(Object.keys(SHOWS).sort());
});

test.each(STORIES)("$name is drawn, in strict mode, and axe finds nothing serious in what the newest React draws", async ({ name, render: Render }) => {
  const { box } = draw(<StrictMode><Render /></StrictMode>);
  await until(`${name} shows ${SHOWS[name]}`, () => box.textContent?.includes(SHOWS[name] ?? "?"));
  // What the others draw is the same, and axe takes longer than all of their tests.
  if (process.env["DRAWN_BY"] !== "react") return;
  // Colours are not computed here, and the page around a story is no page.
  const { violations, passes } = await axe.run(box, { rules: { "color-contrast": { enabled: false }, region: { enabled: false } } });
  expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
  // It looked at something.
  expect(passes.length).toBeGreaterThan(3);
});
