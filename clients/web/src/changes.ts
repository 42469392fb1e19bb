type Listener = () => void;

/** Tells listeners that something changed, once per burst of changes. */
export class Changes {
  private readonly listeners = new Set<Listener>();
  private scheduled = false;

  /** Returns the function that ends the subscription. */
  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  notify(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      for (const listener of this.listeners) listener();
    });
  }
}
