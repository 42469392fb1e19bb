/** The service's limits, as it tells them: the client holds no copy of these numbers. Texts count Unicode code points. */
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
  /** Where stickers may stand; none while nothing is known. `stickerSource` asks it. */
  readonly stickerHosts: readonly string[];
  readonly stickerDescriptionChars: number;
}

/** Before they are known. The service still refuses what is too much, with a reason. */
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
  stickerHosts: [],
  stickerDescriptionChars: Infinity,
};
