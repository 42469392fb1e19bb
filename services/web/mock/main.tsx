/**
 * The page without a backend: `npm run mock`. You are Alice; the address's `scene` sets the stage:
 * `?user=alice&scene=incoming`, `typing`, `offline`, and `&peeroff`, `&shaky` during a call.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { render } from "preact";
import { ParleyClient, type Put } from "../src/parley";
import { App } from "../src/ui/app";
import { Session } from "../src/ui/session";
import "../src/ui/styles";
import { MockBackend } from "./backend";
import { paintedMedia, paintPicture } from "./media";
import { seed, seedFiles } from "./seed";

const NAMES = { alice: "Alice Moreau", bob: "Bob Lindqvist", chidi: "Chidi Okafor", dana: "Dana Petrov", farid: "Farid Haddad", gwen: "Gwen Hughes" };
const backend = new MockBackend();
seed(backend);
backend.files.addressOf = (id, body) => (body ? URL.createObjectURL(body) : `data:text/plain,${id}`);
await seedFiles(backend, paintPicture);

const session = new Session({
  loadUsers: () => Promise.resolve(Object.entries(NAMES).map(([userId, name]) => ({ userId, name }))),
  devTokens: (userId) => () => Promise.resolve({ value: "mock", userId, expiresMs: Date.now() + 3_600_000 }),
  createClient: (userId, tokens) =>
    new ParleyClient({ userId, tokens, deviceId: "mock-page", transport: backend.transportFor(userId), media: paintedMedia("bob"), put: slowly(backend.files.put) }),
});

/** Slow enough to see the progress. */
function slowly(put: Put): Put {
  return async (options) => {
    for (let part = 1; part < 10; part++) {
      await new Promise((resolve) => setTimeout(resolve, 120));
      if (options.signal.aborted) throw new DOMException("cancelled", "AbortError");
      options.onProgress((options.body.size * part) / 10);
    }
    await put(options);
  };
}

/** The other side: a second client in the same page. */
const bob = new ParleyClient({
  userId: "bob",
  deviceId: "mock-bob",
  tokens: () => Promise.resolve({ value: "mock", userId: "bob", expiresMs: Number.POSITIVE_INFINITY }),
  transport: backend.transportFor("bob"),
  media: paintedMedia("alice"),
});
bob.start();
bob.onRing = (ringing) => {
  if (ringing) setTimeout(() => bob.calls.accept(false), 1500);
};

const scenes: Record<string, () => void> = {
  incoming: () => setTimeout(() => bob.calls.dial("alice+bob", "alice", true), 1000),
  typing: () => setInterval(() => bob.presence.draft("alice+bob", `${Date.now()}`), 3000),
  offline: () =>
    setTimeout(() => {
      backend.fault = new ConnectError("down", Code.Unavailable);
      backend.dropStreams("alice");
    }, 1500),
};
scenes[new URLSearchParams(location.search).get("scene") ?? ""]?.();

const root = document.getElementById("app");
if (root) render(<App session={session} />, root);
void session.open();
