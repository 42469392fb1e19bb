import type { Api } from "./api.js";
import type { CallEncryption } from "./encryption/call-encryption.js";
import type { MediaSignaling } from "./media-connection.js";

/** A device's way into the media of one call, as the control plane grants it. */
export function mediaSignalingFor({ calls }: Api, deviceId: string, callId: string, encryption: CallEncryption): MediaSignaling {
  return {
    renew: async () => {
      const { grant } = await calls.renewMediaGrant({ callId, deviceId });
      if (!grant) throw new Error("no grant in the answer");
      return grant;
    },
    join: async (joinToken, sdpOffer) => (await calls.joinMedia({ joinToken, sdpOffer })).sdpAnswer,
    cryptor: () => encryption.cryptorFor(callId),
  };
}
