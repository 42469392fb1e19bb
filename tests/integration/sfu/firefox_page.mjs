// A tab of headless Firefox with the page of the SFU's tests, in a call as a simple page: node firefox_page.mjs <firefox>
// <address of the page> <user>. It tells how far it is and then twice a second what has come, in lines of JSON, and ends
// with its input.
import { launchFirefox, openInFirefox } from "../../e2e/firefox.mjs";

const [executablePath, url, user] = process.argv.slice(2);
const tell = (facts) => console.log(JSON.stringify(facts));
const faults = [];
const firefox = await launchFirefox(executablePath);
process.on("exit", () => firefox.process()?.kill());
tell({ step: "launched" });
const page = await openInFirefox(firefox, url, faults);
tell({ step: "opened" });
await page.evaluate((name) => joinSimply(name), user);
tell({ step: "joined" });
setInterval(async () => {
  const facts = await page.evaluate(async () => ({ ...(await report()), played: played() }));
  tell({ ...facts, faults });
}, 500);
process.stdin.resume();
process.stdin.on("end", async () => {
  await firefox.close();
  process.exit(0);
});
