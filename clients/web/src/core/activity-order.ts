/** So many moves at once are put in place one by one; beyond, all is sorted. Raising it makes a first list slower; lowering it sorts for a burst of messages. */
const FEW = 100;

interface Row<T> {
  readonly item: T;
  readonly timeMs: number;
}

/**
 * Items with the newest first. One that moves is inserted where it belongs, and compared with as few others as a binary
 * search takes: an account of ten thousand is not sorted for a message. Of the same time, who moved there first stands first.
 */
export class ActivityOrder<T> {
  private rows: Row<T>[] = [];
  private readonly times = new Map<T, number>();
  /** Those that moved since they were read last, with their new times; undefined: gone. */
  private readonly moved = new Map<T, number | undefined>();

  constructor(private readonly isNewer: (oneMs: number, otherMs: number) => boolean = (oneMs, otherMs) => oneMs > otherMs) {}

  put(item: T, timeMs: number): void {
    if (this.times.get(item) === timeMs) this.moved.delete(item);
    else this.moved.set(item, timeMs);
  }

  delete(item: T): void {
    this.moved.set(item, undefined);
  }

  items(): T[] {
    if (this.moved.size > FEW) this.sort();
    else for (const [item, timeMs] of this.moved) this.move(item, timeMs);
    this.moved.clear();
    return this.rows.map(({ item }) => item);
  }

  private move(item: T, timeMs: number | undefined): void {
    const before = this.times.get(item);
    if (before !== undefined) {
      let at = this.find((otherMs) => !this.isNewer(otherMs, before));
      // Those of the same time stand together.
      while (this.rows[at]?.item !== item) at++;
      this.rows.splice(at, 1);
    }
    this.times.delete(item);
    if (timeMs === undefined) return;
    this.times.set(item, timeMs);
    this.rows.splice(this.find((otherMs) => this.isNewer(timeMs, otherMs)), 0, { item, timeMs });
  }

  private sort(): void {
    this.rows = this.rows.filter(({ item }) => !this.moved.has(item));
    for (const [item, timeMs] of this.moved) {
      this.times.delete(item);
      if (timeMs === undefined) continue;
      this.times.set(item, timeMs);
      this.rows.push({ item, timeMs });
    }
    this.rows.sort((a, b) => Number(this.isNewer(b.timeMs, a.timeMs)) - Number(this.isNewer(a.timeMs, b.timeMs)));
  }

  /** The first place at which it is so; it is so at all that follow. */
  private find(isSo: (timeMs: number) => boolean): number {
    let [from, until] = [0, this.rows.length];
    while (from < until) {
      const middle = (from + until) >> 1;
      if (isSo((this.rows[middle] as Row<T>).timeMs)) until = middle;
      else from = middle + 1;
    }
    return from;
  }
}
