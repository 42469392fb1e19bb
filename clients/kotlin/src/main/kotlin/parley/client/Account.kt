package parley.client

import parley.gateway.v1.Messages.OwnStateChanged
import parley.messaging.v1.Messages.Conversation
import parley.messaging.v1.Messages.Cursor
import parley.messaging.v1.Messages.Message
import parley.messaging.v1.Service.ConversationFolder
import parley.messaging.v1.Service.ListConversationsResponse
import parley.messaging.v1.Service.SyncRequest
import parley.messaging.v1.Service.SyncResponse

/**
 * All conversations of one user on this device, and what to ask Sync for: one token for the account, and cursors only where
 * something is missing. Pure; `docs/design/sync.md` has the rules.
 *
 * An app that keeps messages on disk keeps [token] with them, in one transaction, and fills both before the first Sync.
 */
class Account(private val me: String) {
    private val timelines = HashMap<String, Timeline>()

    /** To be named in the next request: listed without messages yet, or behind. */
    private val wanted = LinkedHashSet<String>()
    private var named = emptySet<String>()
    var token = ""
        private set

    /** Folders whose newest page was not brought yet. */
    val unlisted = LinkedHashSet(FOLDERS)

    /** Something is missing that only Sync brings. */
    val hasGap: Boolean get() = wanted.isNotEmpty() || timelines.values.any { it.hasGap || it.conversation == null }

    operator fun get(conversationId: String): Timeline? = timelines[conversationId]

    /** Takes a message from the stream or an answer. True: call Sync. */
    fun take(message: Message): Boolean {
        begin(message.conversationId).take(message)
        return hasGap
    }

    /** Takes a conversation from the stream or an answer. True: call Sync. */
    fun take(conversation: Conversation): Boolean {
        val id = conversation.conversationId
        if (conversation.membersList.none { it.userId == me }) {
            timelines -= id
            return false
        }
        // Only Sync says whether a new one waits in Requests, and what was said in it before this event.
        if (timelines[id]?.conversation == null) wanted += id
        begin(id).take(conversation)
        return hasGap
    }

    /** Takes how the user keeps a conversation. True: call Sync. */
    fun take(own: OwnStateChanged): Boolean = begin(own.conversationId).take(own.ownState) || hasGap

    /** Takes the newest page of a folder; the first one's token begins everything. */
    fun take(folder: ConversationFolder, answer: ListConversationsResponse) {
        token = token.ifEmpty { answer.syncToken }
        for (line in answer.conversationsList) {
            begin(line.conversation.conversationId).take(line.conversation, line.ownState)
            wanted += line.conversation.conversationId
        }
        unlisted -= folder
    }

    /** The next request. */
    fun request(): SyncRequest {
        val behind = timelines.filterValues { it.hasGap }.keys + wanted
        // One of which only messages were heard is not named, so that all of it comes.
        named = behind.filter { timelines[it]?.conversation != null }.take(MOST_CURSORS).toSet()
        wanted.retainAll { timelines[it]?.conversation != null }
        val cursors = named.map { id ->
            val timeline = timelines.getValue(id)
            Cursor.newBuilder().setConversationId(id).setSeq(timeline.cursor).setRevision(timeline.revision).build()
        }
        return SyncRequest.newBuilder().setSyncToken(token).addAllCursors(cursors).setLimit(PAGE).build()
    }

    /** Takes the answer to the last request. True: call Sync again. */
    fun take(answer: SyncResponse): Boolean {
        timelines -= answer.goneConversationIdsList.toSet()
        val unfinished = LinkedHashSet<String>()
        for (delta in answer.deltasList) {
            val id = delta.conversation.conversationId
            val timeline = begin(id)
            val isLetIn = timeline.take(delta.ownState)
            val isWhole = !isLetIn && (id in named || timeline.isContinuedBy(delta))
            if (isWhole) timeline.take(delta)
            if (!isWhole || delta.hasMore) unfinished += id else wanted -= id
        }
        // What was named and not told of is not behind, unless the page ended before it.
        if (!answer.hasMore) wanted -= named
        wanted += unfinished
        token = answer.syncToken
        return answer.hasMore || wanted.isNotEmpty()
    }

    /** After a whole Sync: conversations of which only messages were heard, and which it did not tell of, are not the user's. */
    fun forget(unknown: Set<String>) = timelines.entries.removeIf { it.key in unknown && it.value.conversation == null }

    /** Those of which only messages were heard. */
    fun unknown(): Set<String> = timelines.filterValues { it.conversation == null }.keys.toSet()

    /** The service does not know the token: what is here may not be what is there. */
    fun beginAnew() {
        timelines.clear()
        wanted.clear()
        token = ""
        unlisted += FOLDERS
    }

    private fun begin(conversationId: String) = timelines.getOrPut(conversationId) { Timeline(me) }

    private companion object {
        val FOLDERS = listOf(
            ConversationFolder.CONVERSATION_FOLDER_UNSPECIFIED,
            ConversationFolder.CONVERSATION_FOLDER_REQUESTS,
        )

        // What a request may name.
        const val MOST_CURSORS = 1_000

        // Messages a conversation.
        const val PAGE = 100
    }
}
