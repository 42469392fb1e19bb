/** The kit's public face. */
export { Avatar, type AvatarProps } from "./avatar.js";
export { Call, CallButtons, type CallButtonsProps, type CallProps } from "./call.js";
export { type CallActions, type CallState, type IncomingCall, useCall, useIncomingCall } from "./call-hooks.js";
export { Composer, type ComposerProps } from "./composer.js";
export {
  type Conversations,
  type Face,
  type Messages,
  useConversation,
  useConversations,
  useFace,
  useMessages,
} from "./conversation-hooks.js";
export { ConversationList, type ConversationListProps } from "./conversation-list.js";
export { type Connection, type DraftText, useAttention, useConnection, useDraft, useLimits, useNames, usePerson, usePresence, useTyping } from "./hooks.js";
export { ENGLISH, type Labels } from "./labels.js";
export { ParleyProvider, type ParleyProviderProps, useLabels, useLocale, useParley } from "./provider.js";
export { Thread, type ThreadProps } from "./thread.js";
