/** What some browsers know and TypeScript does not yet (WebRTC extensions, section 5.1). */
interface Extension {
  readonly uri: string;
  direction: RTCRtpTransceiverDirection;
}
interface Negotiating {
  readonly receiver: { readonly track: { readonly kind: string } };
  getHeaderExtensionsToNegotiate?(): Extension[];
  setHeaderExtensionsToNegotiate?(extensions: Extension[]): void;
}

/** AV1 RTP specification, section A.9. */
const DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/**
 * Offers the dependency descriptor on lines of video, by which the SFU knows the layers of a stream, also of an encrypted one.
 *
 * A browser that has none, or asks nobody, sends streams without it: these go to their receivers as a whole.
 */
export function offerDescriptors(transceivers: readonly Negotiating[]): void {
  for (const transceiver of transceivers) {
    if (transceiver.receiver.track.kind !== "video") continue;
    const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
    const descriptor = extensions.find(({ uri }) => uri === DESCRIPTOR);
    if (!descriptor || descriptor.direction !== "stopped") continue;
    descriptor.direction = "sendrecv";
    transceiver.setHeaderExtensionsToNegotiate?.(extensions);
  }
}
