import type { Api } from "./api.js";
import type { DeviceChoice } from "./call-devices.js";
import type { NewVoice } from "./core/model.js";
import type { DeviceProblem } from "./core/user-messages.js";
import { Late } from "./late.js";
import type { Put } from "./object-upload.js";
import type { SentVoices } from "./voice-requests.js";

/** Voice messages of this user. Pages record the sound: browsers have MediaRecorder for it. */
export class VoiceMessages {
  private readonly requests;

  constructor(
    api: Api,
    put: Put,
    conversations: SentVoices,
    private readonly choice: () => DeviceChoice,
  ) {
    this.requests = new Late(async () => {
      const { VoiceRequests } = await import("./voice-requests.js");
      return new VoiceRequests(api, put, conversations);
    });
  }

  /** The chosen microphone's track, or why there is none; stop it when the sound is recorded. */
  async openMicrophone(): Promise<MediaStreamTrack | DeviceProblem> {
    const { openMicrophone } = await import("./devices.js");
    return openMicrophone(this.choice().microphone);
  }

  /**
   * Uploads a sound and sends it, and resolves when it is stored. Give one id to one voice message: sent again after a lost answer,
   * it is stored once. Rejects with a Failure, or with what is wrong with the file (`Told`).
   */
  async send(conversationId: string, voice: NewVoice, clientMessageId?: string): Promise<void> {
    return (await this.requests.get()).send(conversationId, voice, clientMessageId);
  }
}
