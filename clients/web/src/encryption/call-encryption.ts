/** Encrypts what one connection sends and decrypts what it receives, end to end. */
export interface FrameCryptor {
  /** Call before the offer is made. `onReadable` is called when it changes whether everything received can be decrypted. */
  attach(connection: RTCPeerConnection, onReadable: (readable: boolean) => void): void;
  /** The connection is closed. */
  release(): void;
}

/**
 * End-to-end encryption of this device's calls (RFC 9605, SFrame).
 *
 * The passphrase is the users' own affair: it is given here by the app or by the user and leaves this page in no form.
 */
export class CallEncryption {
  private passphrase: string | undefined;
  private readonly keys = new Map<string, Promise<CryptoKey>>();

  constructor(private readonly changed: () => void = () => undefined) {}

  /** Whether this browser can do it. */
  get isSupported(): boolean {
    return typeof RTCRtpScriptTransform !== "undefined";
  }

  /** Whether calls that begin now are encrypted. */
  get isOn(): boolean {
    return this.passphrase !== undefined;
  }

  /** For connections from now on; all participants need the same one. Undefined switches encryption off. */
  use(passphrase: string | undefined): void {
    this.passphrase = passphrase === "" ? undefined : passphrase;
    this.keys.clear();
    this.changed();
  }

  /** What guards a connection of this call; undefined without a passphrase. */
  async cryptorFor(callId: string): Promise<FrameCryptor | undefined> {
    if (this.passphrase === undefined) return undefined;
    if (!this.isSupported) throw new Error("This browser cannot encrypt calls end to end.");
    const { passphrase } = this;
    const { deriveCallKey, WorkerFrameCryptor } = await import("./frame-cryptor.js");
    const known = this.passphrase === passphrase ? this.keys.get(callId) : undefined;
    const key = known ?? deriveCallKey(passphrase, callId);
    // Another passphrase, given meanwhile, is for the connections after this one.
    if (this.passphrase === passphrase) {
      this.keys.clear();
      this.keys.set(callId, key);
    }
    return new WorkerFrameCryptor(await key);
  }
}
