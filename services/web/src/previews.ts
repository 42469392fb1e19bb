/** Pictures of this device that are kept for drawing. More cost memory; fewer are fetched again right after sending. */
const MAX_KEPT = 40;

/** Addresses of pictures that this device sends, so that they are seen before, while and after they go up. */
class Previews {
  private readonly kept = new Map<string, string>();

  keep(id: string, body: Blob): void {
    this.kept.set(id, URL.createObjectURL(body));
    for (const [oldest, address] of [...this.kept].slice(0, Math.max(0, this.kept.size - MAX_KEPT))) {
      this.kept.delete(oldest);
      URL.revokeObjectURL(address);
    }
  }

  /** The upload has become an attachment. */
  rename(uploadId: string, attachmentId: string): void {
    const address = this.kept.get(uploadId);
    if (address) this.kept.set(attachmentId, address);
    this.kept.delete(uploadId);
  }

  of(id: string): string | undefined {
    return this.kept.get(id);
  }
}

export const previews = new Previews();
