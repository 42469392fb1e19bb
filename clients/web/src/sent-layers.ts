/** What the SFU says of one simulcast layer of this device's camera; `rid` is empty where there are no layers. */
export interface LayerState {
  readonly mid: string;
  readonly rid: string;
  /** Somebody takes it. */
  readonly wanted: boolean;
}

type Sender = Pick<RTCRtpSender, "getParameters" | "setParameters">;
type Connection = { getTransceivers(): { readonly mid: string | null; readonly sender: Sender }[] };

/** Lets the senders of a connection encode and send only what somebody takes. */
export class SentLayers {
  private layers: readonly LayerState[] = [];
  private turn: Promise<void> = Promise.resolve();

  constructor(private readonly connection: Connection) {}

  /** The newest word counts, as a whole. Settles when the browser has followed; one that cannot goes on sending everything. */
  follow(layers: readonly LayerState[]): Promise<void> {
    this.layers = layers;
    // In turns: the parameters that a sender gives are good for one `setParameters`.
    this.turn = this.turn.then(() => this.apply());
    return this.turn;
  }

  private async apply(): Promise<void> {
    const named = new Set(this.layers.map(({ mid }) => mid));
    for (const { mid, sender } of this.connection.getTransceivers()) {
      if (mid !== null && named.has(mid)) await this.applyTo(sender, mid).catch(() => undefined);
    }
  }

  private async applyTo(sender: Sender, mid: string): Promise<void> {
    const parameters = sender.getParameters();
    const encodings = parameters.encodings.map((encoding) => ({ ...encoding, active: this.isWanted(mid, encoding.rid ?? "") }));
    const changed = encodings.some(({ active }, index) => active !== (parameters.encodings[index]?.active ?? true));
    if (changed) await sender.setParameters({ ...parameters, encodings });
  }

  private isWanted(mid: string, rid: string): boolean {
    return this.layers.find((layer) => layer.mid === mid && layer.rid === rid)?.wanted ?? true;
  }
}
