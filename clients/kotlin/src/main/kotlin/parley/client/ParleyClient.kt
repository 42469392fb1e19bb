package parley.client

import com.google.protobuf.MessageLite
import io.grpc.CallOptions
import io.grpc.ManagedChannel
import io.grpc.ManagedChannelBuilder
import io.grpc.Metadata
import io.grpc.MethodDescriptor
import io.grpc.Status
import io.grpc.StatusException
import io.grpc.kotlin.ClientCalls
import java.io.Closeable
import java.net.URI
import java.util.UUID
import java.util.concurrent.TimeUnit
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import parley.calls.v1.CallsServiceGrpc
import parley.calls.v1.Messages.Call
import parley.calls.v1.Service.AcceptCallRequest
import parley.calls.v1.Service.AcceptCallResponse
import parley.calls.v1.Service.DeclineCallRequest
import parley.calls.v1.Service.GetCallRequest
import parley.messaging.v1.Messages.Message
import parley.messaging.v1.Messages.TextContent
import parley.messaging.v1.MessagingServiceGrpc
import parley.messaging.v1.Service.CreateDirectConversationRequest
import parley.messaging.v1.Service.EditMessageRequest
import parley.messaging.v1.Service.MarkReadRequest
import parley.messaging.v1.Service.SendMessageRequest
import parley.messaging.v1.Service.SetReactionRequest
import parley.messaging.v1.Service.UnsendMessageRequest
import parley.notifications.v1.NotificationsServiceGrpc
import parley.notifications.v1.Service.Provider
import parley.notifications.v1.Service.RegisterTokenRequest

/**
 * One user on one device. [start] opens the event stream; [close] ends everything.
 *
 * [deviceId] is chosen once by the app and kept. [tokens] gives the network's token. Every method raises [Failure], and
 * repeats by itself what passes; all but [ask] with your own requests are idempotent.
 */
class ParleyClient(
    url: String,
    userId: String,
    private val deviceId: String,
    private val backOff: BackOff = BackOff(),
    tokens: TokenProvider,
) : Closeable {
    // What the device knows is touched by one coroutine at a time.
    private val one = Dispatchers.Default.limitedParallelism(1)
    private val scope = CoroutineScope(SupervisorJob() + one)
    private val credentials = Tokens(CoroutineScope(scope.coroutineContext + Dispatchers.Default), tokens)
    private val channel = channelTo(URI(url))
    private val options = CallOptions.DEFAULT.withCallCredentials(credentials)
    private val account = Account(userId)
    private val changed = MutableStateFlow(0L)
    private val turns = HashMap<String, Mutex>()
    private val stream = EventStream(this, deviceId, account, backOff, one) { changed.value++ }

    /** Whether this device hears what happens, and why it never will again. */
    val state: StateFlow<StreamState> get() = stream.state

    /** Calls by their ids, of each the newest copy: those that ring or run, and those that ended since the start. */
    val calls: StateFlow<Map<String, Call>> get() = stream.calls

    /** Opens the event stream, and keeps it until it is [closed][close] or has [ended][StreamState.Ended]. */
    fun start() = stream.start(scope)

    override fun close() {
        scope.cancel()
        channel.shutdownNow()
    }

    /** For Android's ConnectivityManager: there is a network again, so no back-off is waited out. */
    fun networkCameBack() {
        channel.resetConnectBackoff()
        stream.hurry()
    }

    /** The messages of a conversation, the oldest first, now and after each change. */
    fun messages(conversationId: String): Flow<List<Message>> =
        changed.map { account[conversationId]?.messages.orEmpty() }.distinctUntilChanged().flowOn(one)

    /** The same, as of now. */
    suspend fun shown(conversationId: String): List<Message> =
        withContext(one) { account[conversationId]?.messages.orEmpty() }

    /** Opens the one conversation with a person, and gives its id. */
    suspend fun openDirect(peerUserId: String): String {
        val request = CreateDirectConversationRequest.newBuilder().setPeerUserId(peerUserId).build()
        val conversation = ask(MessagingServiceGrpc.getCreateDirectConversationMethod(), request).conversation
        stream.took { take(conversation) }
        return conversation.conversationId
    }

    /**
     * Sends a text, and gives the message as it is stored. The sends of a conversation go in the order of the calls.
     *
     * An app writes [clientMessageId] down before it sends, and sends again under it after it was killed: the message is
     * stored once, and a retry gets the first result.
     */
    suspend fun send(conversationId: String, text: String, clientMessageId: String = UUID.randomUUID().toString()): Message {
        val request = SendMessageRequest.newBuilder().setConversationId(conversationId).setClientMessageId(clientMessageId)
            .setText(TextContent.newBuilder().setText(text)).build()
        val turn = withContext(one) { turns.getOrPut(conversationId, ::Mutex) }
        return taken(turn.withLock { ask(MessagingServiceGrpc.getSendMessageMethod(), request).message })
    }

    /** Replaces the text of one's own message. */
    suspend fun edit(conversationId: String, seq: Long, text: String): Message {
        val request = EditMessageRequest.newBuilder().setConversationId(conversationId).setSeq(seq)
            .setText(TextContent.newBuilder().setText(text)).build()
        return taken(ask(MessagingServiceGrpc.getEditMessageMethod(), request).message)
    }

    /** Takes one's own message back for everyone. */
    suspend fun unsend(conversationId: String, seq: Long): Message {
        val request = UnsendMessageRequest.newBuilder().setConversationId(conversationId).setSeq(seq).build()
        return taken(ask(MessagingServiceGrpc.getUnsendMessageMethod(), request).message)
    }

    /** Puts one's reaction on a message, or takes it away. */
    suspend fun react(conversationId: String, seq: Long, emoji: String, present: Boolean = true): Message {
        val request = SetReactionRequest.newBuilder().setConversationId(conversationId).setSeq(seq).setEmoji(emoji)
            .setPresent(present).build()
        return taken(ask(MessagingServiceGrpc.getSetReactionMethod(), request).message)
    }

    /** Says that the user has read up to a message; the notices of all devices go. */
    suspend fun markRead(conversationId: String, seq: Long) {
        val request = MarkReadRequest.newBuilder().setConversationId(conversationId).setSeq(seq).build()
        ask(MessagingServiceGrpc.getMarkReadMethod(), request)
    }

    /** Has notices sent to this device: at each start, and whenever the provider gives a new token. */
    suspend fun registerToken(provider: Provider, token: String, appId: String = "") {
        val request = RegisterTokenRequest.newBuilder().setDeviceId(deviceId).setProvider(provider).setToken(token)
            .setAppId(appId).build()
        ask(NotificationsServiceGrpc.getRegisterTokenMethod(), request)
    }

    /** The call as it stands: what a device asks that a push has woken. */
    suspend fun call(callId: String): Call =
        ask(CallsServiceGrpc.getGetCallMethod(), GetCallRequest.newBuilder().setCallId(callId).build()).call

    /** Answers a ring here; the user's other devices stop ringing. The answer's grant admits to the media. */
    suspend fun accept(callId: String): AcceptCallResponse {
        val request = AcceptCallRequest.newBuilder().setCallId(callId).setDeviceId(deviceId)
            .setClientRequestId(UUID.randomUUID().toString()).build()
        return ask(CallsServiceGrpc.getAcceptCallMethod(), request)
    }

    /** Refuses a ring, on all devices of the user. */
    suspend fun decline(callId: String): Call =
        ask(CallsServiceGrpc.getDeclineCallMethod(), DeclineCallRequest.newBuilder().setCallId(callId).build()).call

    /**
     * Any RPC of the protos that is idempotent, repeated while its failure is one that passes. Raises [Failure].
     *
     * Every attempt sends the same bytes, so a key in the request is the same too.
     */
    suspend fun <Q : MessageLite, A : MessageLite> ask(method: MethodDescriptor<Q, A>, request: Q): A {
        repeat(ATTEMPTS - 1) { attempt ->
            try {
                return askOnce(method, request)
            } catch (failure: Failure) {
                val isStale = failure.code == Status.Code.UNAUTHENTICATED && attempt == 0
                if (isStale) forgetToken()
                // A day's quota is not waited for in silence.
                if (!isStale && (!failure.passes || failure.retryAfter > MOST_WAIT)) throw failure
                delay(backOff.delay(attempt, failure.retryAfter))
            }
        }
        return askOnce(method, request)
    }

    private suspend fun <Q : MessageLite, A : MessageLite> askOnce(method: MethodDescriptor<Q, A>, request: Q): A = try {
        // This client's back-off is the one that counts: the channel's own grows to two minutes.
        channel.resetConnectBackoff()
        ClientCalls.unaryRpc(channel, method, request, options.withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS), Metadata())
    } catch (error: StatusException) {
        throw Failure.of(error)
    }

    /** The next call logs in anew. */
    internal suspend fun forgetToken() = credentials.forget()

    /** A server's stream of answers. Raises StatusException. */
    internal fun <Q : MessageLite, A : MessageLite> follow(method: MethodDescriptor<Q, A>, request: Q): Flow<A> {
        channel.resetConnectBackoff()
        return ClientCalls.serverStreamingRpc(channel, method, request, options, Metadata())
    }

    private suspend fun taken(message: Message): Message = message.also { stream.took { take(message) } }
}

// Raising it rides out a longer outage; lowering it tells the app sooner.
private const val ATTEMPTS = 6
private const val DEADLINE_S = 10L

// Keep-alive notices a peer that is gone without having closed the connection. Raising it spares the radio, lowering it
// notices sooner.
private const val KEEP_ALIVE_S = 20L
private val MOST_WAIT = 60.seconds

private fun channelTo(url: URI): ManagedChannel {
    val isTls = url.scheme == "https"
    val port = if (url.port > 0) url.port else if (isTls) 443 else 80
    val builder = ManagedChannelBuilder.forAddress(url.host, port)
    if (!isTls) builder.usePlaintext()
    return builder.keepAliveTime(KEEP_ALIVE_S, TimeUnit.SECONDS).build()
}
