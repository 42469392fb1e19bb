/** What the service takes at most, as it tells: the client holds no copy of these numbers. Texts count Unicode code points. */
export interface Limits {
  readonly textChars: number;
  /** Mentions and links of one text. */
  readonly textEntities: number;
  /** Files that go with one message. */
  readonly attachments: number;
  readonly uploadBytes: number;
  readonly groupMembers: number;
  readonly titleChars: number;
  readonly queryChars: number;
  readonly reportMessages: number;
  readonly reportCommentChars: number;
}

/** Before the service has told them: it refuses what is too much, and says why. */
export const UNKNOWN_LIMITS: Limits = {
  textChars: Infinity,
  textEntities: Infinity,
  attachments: Infinity,
  uploadBytes: Infinity,
  groupMembers: Infinity,
  titleChars: Infinity,
  queryChars: Infinity,
  reportMessages: Infinity,
  reportCommentChars: Infinity,
};
