package parley.client

import java.util.TreeMap
import parley.messaging.v1.Messages.Conversation
import parley.messaging.v1.Messages.ConversationDelta
import parley.messaging.v1.Messages.Message
import parley.messaging.v1.Messages.OwnState
import parley.messaging.v1.Messages.RequestState

/**
 * One conversation on this device: one order, no gaps, no doubles. Pure.
 *
 * Messages come from the stream, from answers and from Sync, in any order and any number of times. What is shown ascends
 * without gaps from `base + 1` on; `base` is above 0 where the device began with the newest page.
 */
class Timeline(private val me: String) {
    /** Null while only messages of it were heard. */
    var conversation: Conversation? = null
        private set
    var ownState: OwnState = OwnState.getDefaultInstance()
        private set

    /** The device has all changes up to this one. */
    var revision = 0L
        private set
    private var base = 0L
    private val shown = ArrayList<Message>()

    /** Behind a gap. */
    private val waiting = TreeMap<Long, Message>()
    private var missed = false

    private val seq: Long get() = base + shown.size

    /** What Sync is told: 0 where nothing is here yet, so that it answers with the newest page. */
    val cursor: Long get() = if (shown.isEmpty()) 0 else seq

    /** Sync has to bring something. */
    val hasGap: Boolean get() = missed || waiting.isNotEmpty()
    val messages: List<Message> get() = shown.toList()

    /** Takes a message from the stream or an answer. */
    fun take(message: Message) {
        put(message)
        hear(message.revision)
    }

    /** Takes the conversation from the stream. */
    fun take(news: Conversation) {
        val isFirst = conversation == null
        describe(news)
        if (isFirst) revision = maxOf(revision, news.revision) else hear(news.revision)
    }

    /** Takes a line of the list: all that is known of it before the first Sync. */
    fun take(news: Conversation, own: OwnState) {
        describe(news)
        if (shown.isEmpty()) revision = maxOf(revision, news.revision)
        ownState = own
    }

    /** Takes how the user keeps it. True when it was let in: its messages must be read anew, and are gone from here. */
    fun take(own: OwnState): Boolean {
        val isLetIn = ownState.request == RequestState.REQUEST_STATE_PENDING && own.request != ownState.request
        ownState = own
        if (isLetIn) {
            shown.clear()
            waiting.clear()
            base = visibleAfter()
            missed = true
        }
        return isLetIn
    }

    /** Takes what Sync says, of one moment. */
    fun take(delta: ConversationDelta) {
        // What came live and waits behind the gap may have changed since: Sync has it as it is, but for what is newer.
        val live = if (conversation == null) shown + waiting.values else waiting.values.toList()
        if (conversation == null) shown.clear()
        waiting.headMap(delta.conversation.lastSeq, true).clear()
        describe(delta.conversation)
        if (shown.isEmpty() && delta.messagesCount > 0) base = maxOf(base, delta.getMessages(0).seq - 1)
        (delta.messagesList + delta.changedMessagesList).forEach(::put)
        live.filter { it.seq > delta.conversation.lastSeq || it.revision > delta.cursor.revision }.forEach(::put)
        revision = maxOf(revision, delta.cursor.revision)
        missed = false
    }

    /** Whether a delta that was made without this device's cursor leaves no gap behind what is here. */
    fun isContinuedBy(delta: ConversationDelta): Boolean {
        if (conversation == null || shown.isEmpty()) return true
        val first = if (delta.messagesCount > 0) delta.getMessages(0).seq else delta.conversation.lastSeq + 1
        return first <= seq + 1 && delta.conversation.revision <= revision && !missed
    }

    private fun describe(news: Conversation) {
        if (news.revision < (conversation?.revision ?: 0)) return
        conversation = news
        hideThrough(visibleAfter())
    }

    private fun put(message: Message) {
        val known = if (message.seq in base + 1..seq) shown[(message.seq - base - 1).toInt()] else waiting[message.seq]
        when {
            message.seq <= base -> return
            known == null -> waiting[message.seq] = message
            // The service hides what is over before it counts a revision for it.
            message.revision < known.revision || message.revision == known.revision && !message.hasExpired() -> return
            message.seq <= seq -> shown[(message.seq - base - 1).toInt()] = message
            else -> waiting[message.seq] = message
        }
        showWhatFollows()
    }

    private fun hear(news: Long) {
        if (news == revision + 1) revision = news else if (news > revision) missed = true
    }

    private fun hideThrough(last: Long) {
        if (last <= base) return
        shown.subList(0, minOf(last - base, shown.size.toLong()).toInt()).clear()
        waiting.headMap(last, true).clear()
        base = last
        showWhatFollows()
    }

    private fun showWhatFollows() {
        while (true) shown += waiting.remove(seq + 1) ?: return
    }

    private fun visibleAfter(): Long {
        val own = conversation?.membersList?.firstOrNull { it.userId == me }
        return maxOf(own?.visibleAfterSeq ?: 0, conversation?.historyStartSeq ?: 0)
    }
}
