/** Frames in a row that cannot be decrypted, before it is reported. Raising it reports later; lowering it reports everybody who comes, until their key is here. */
const UNREADABLE_AFTER = 100;

/** Whether the frames of one receive slot can be decrypted: they can until many in a row cannot. */
export class Readability {
  private failed = 0;

  /** Notes a frame; what is new to say, if anything. */
  note(opened: boolean): boolean | undefined {
    const before = this.failed;
    this.failed = opened ? 0 : before + 1;
    if (opened) return before >= UNREADABLE_AFTER ? true : undefined;
    return this.failed === UNREADABLE_AFTER ? false : undefined;
  }
}
