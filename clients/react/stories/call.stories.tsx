import { Call, CallButtons } from "../src/index.js";
import { someDays, Stage } from "./world.js";

export default { title: "Call", component: Call };

const call = (userId: string, conversationId: string, backend: Parameters<typeof someDays>[0]) =>
  backend.calls.methodsOf(userId).startCall({ conversationId, video: true, deviceId: "theirs" }).call;

export const Start = { render: () => <Stage seed={someDays}>{({ bob }) => <CallButtons conversationId={bob} />}</Stage> };

export const Rings = { render: () => <Stage seed={someDays} act={(_, backend, { bob }) => void call("bob", bob, backend)}>{() => <Call />}</Stage> };

export const WithBob = {
  render: () => (
    <Stage
      seed={someDays}
      act={(client, backend, { bob }) => {
        const end = client.subscribe(() => {
          if (client.calls.view().phase !== "ringing") return;
          end();
          client.calls.accept(true);
        });
        call("bob", bob, backend);
      }}
    >
      {() => <Call />}
    </Stage>
  ),
};

export const InAGroup = {
  render: () => (
    <Stage
      seed={someDays}
      act={(client, backend, { hike }) => {
        const running = call("bob", hike, backend);
        backend.calls.methodsOf("chidi").joinCall({ callId: running.callId, deviceId: "theirs" });
        const end = client.subscribe(() => {
          if (client.calls.view().phase !== "ringing") return;
          end();
          client.calls.accept(true);
        });
      }}
    >
      {() => <Call />}
    </Stage>
  ),
};
