package parley.client

import io.grpc.Status
import io.grpc.StatusException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.Channel.Factory.CONFLATED
import kotlinx.coroutines.channels.getOrElse
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.produceIn
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import parley.calls.v1.CallsServiceGrpc
import parley.calls.v1.Messages.Call
import parley.calls.v1.Messages.CallState
import parley.calls.v1.Service.ListActiveCallsRequest
import parley.gateway.v1.GatewayServiceGrpc
import parley.gateway.v1.Messages.DeviceEvent
import parley.gateway.v1.Messages.DeviceEvent.EventCase
import parley.gateway.v1.Messages.Ready
import parley.gateway.v1.Service.SubscribeRequest
import parley.messaging.v1.MessagingServiceGrpc
import parley.messaging.v1.Service.ConversationFolder
import parley.messaging.v1.Service.ListConversationsRequest

/** Whether this device hears what happens. */
sealed interface StreamState {
    /** It is not connected, or not in sync yet; it goes on trying. */
    data object Connecting : StreamState

    data object Live : StreamState

    /** It does not come back by itself: REPLACED, DEVICE_LIMIT, TOKEN_REVOKED, ACCOUNT_DELETED. */
    data class Ended(val reason: String) : StreamState
}

/** The device's event stream: notices silence, reconnects with back-off, resumes, and calls Sync whenever it must. */
internal class EventStream(
    private val client: ParleyClient,
    private val deviceId: String,
    private val account: Account,
    private val backOff: BackOff,
    private val one: CoroutineDispatcher,
    private val changed: () -> Unit,
) {
    private val mutableState = MutableStateFlow<StreamState>(StreamState.Connecting)
    private val mutableCalls = MutableStateFlow<Map<String, Call>>(emptyMap())
    val state = mutableState.asStateFlow()
    val calls = mutableCalls.asStateFlow()
    private val mustSync = Channel<Unit>(CONFLATED)
    private val hurried = Channel<Unit>(CONFLATED)

    // Readies that did not resume, and resyncs; and how many of them the last Sync came after.
    private var told = 0
    private var synced = 0
    private var connected = false
    private var resumeToken = ""
    private var position = 0L
    private var attempt = 0

    fun start(scope: CoroutineScope) {
        scope.launch { followForEver() }
        scope.launch { syncForEver() }
    }

    /** The back-off under way ends. */
    fun hurry() {
        hurried.trySend(Unit)
    }

    /** Takes what an answer brought, as the stream will bring it too. */
    suspend fun took(taking: Account.() -> Boolean) = withContext(one) { apply(account.taking()) }

    private suspend fun followForEver() {
        while (true) {
            val failure = try {
                followOnce()
                null
            } catch (error: StatusException) {
                Failure.of(error)
            }
            connected = false
            if (failure?.code == Status.Code.UNAUTHENTICATED) client.forgetToken()
            if (failure != null && failure.reason in FINAL) {
                mutableState.value = StreamState.Ended(failure.reason)
                return
            }
            tell()
            // What the service asks for is waited out whatever happens.
            delay(failure?.retryAfter ?: Duration.ZERO)
            withTimeoutOrNull(backOff.delay(attempt++)) { hurried.receive() }
        }
    }

    /** One connection, to its end or to too long a silence. */
    private suspend fun followOnce() = coroutineScope {
        val answers = client.follow(GatewayServiceGrpc.getSubscribeMethod(), request()).produceIn(this)
        var silence = READY_WITHIN
        while (true) {
            val answer = withTimeoutOrNull(silence) { answers.receiveCatching() } ?: break
            val said = answer.getOrElse { if (it != null) throw it else null } ?: break
            if (said.event.hasReady()) {
                begin(said.event.ready)
                silence = (said.event.ready.heartbeatS.coerceAtLeast(1) * MISSED_HEARTBEATS).seconds
            }
            apply(take(said.event))
            if (said.position > 0) position = said.position
        }
        answers.cancel()
    }

    private fun request(): SubscribeRequest {
        val request = SubscribeRequest.newBuilder().setDeviceId(deviceId)
        // What an earlier stream pointed at and is not fetched yet would be forgotten by one that goes on.
        if (told > 0 && synced == told && !account.hasGap) request.setResumeToken(resumeToken).setPosition(position)
        return request.build()
    }

    private fun begin(ready: Ready) {
        attempt = 0
        connected = true
        resumeToken = ready.resumeToken
        if (ready.resumed) return tell()
        position = 0
        told++
    }

    /** True: call Sync. */
    private fun take(event: DeviceEvent): Boolean = when (event.eventCase) {
        EventCase.READY -> !event.ready.resumed
        EventCase.RESYNC -> true.also { told++ }
        EventCase.MESSAGE -> account.take(event.message)
        EventCase.CONVERSATION -> account.take(event.conversation)
        EventCase.OWN_STATE -> account.take(event.ownState)
        EventCase.CALL -> false.also { take(event.call) }
        else -> false
    }

    private fun take(call: Call) {
        val known = mutableCalls.value[call.callId]
        if (known == null || call.version > known.version) mutableCalls.value += call.callId to call
    }

    private fun apply(mustSyncNow: Boolean) {
        if (mustSyncNow) mustSync.trySend(Unit)
        changed()
    }

    private suspend fun syncForEver() {
        var failed = 0
        for (asked in mustSync) {
            val before = told
            // What ran meanwhile may have filled the gap.
            if (before == synced && !account.hasGap) continue
            try {
                sync()
                askForCalls()
                failed = 0
                synced = before
                tell()
                changed()
            } catch (failure: Failure) {
                if (state.value is StreamState.Ended) return
                delay(backOff.delay(failed++, failure.retryAfter))
                mustSync.trySend(Unit)
            }
        }
    }

    private suspend fun sync() {
        val unknown = account.unknown()
        try {
            for (folder in account.unlisted.toList()) list(folder)
            do {
                val answer = client.ask(MessagingServiceGrpc.getSyncMethod(), account.request())
            } while (account.take(answer))
        } catch (failure: Failure) {
            if (failure.reason == "SYNC_TOKEN_UNKNOWN") account.beginAnew()
            throw failure
        }
        account.forget(unknown)
    }

    private suspend fun list(folder: ConversationFolder) {
        val request = ListConversationsRequest.newBuilder().setFolder(folder).setPageSize(LIST_PAGE).build()
        account.take(folder, client.ask(MessagingServiceGrpc.getListConversationsMethod(), request))
    }

    private suspend fun askForCalls() {
        val request = ListActiveCallsRequest.getDefaultInstance()
        val active = client.ask(CallsServiceGrpc.getListActiveCallsMethod(), request).callsList
        active.forEach(::take)
        val running = mutableCalls.value.values.filter { it.state != CallState.CALL_STATE_ENDED }.map { it.callId }
        for (callId in running - active.map { it.callId }.toSet()) {
            // It ended while nobody could tell this device, or is not the user's any more.
            try {
                take(client.call(callId))
            } catch (failure: Failure) {
                if (failure.reason != "CALL_NOT_FOUND") throw failure
                mutableCalls.value -= callId
            }
        }
    }

    private fun tell() {
        val isLive = connected && told > 0 && synced == told
        if (state.value !is StreamState.Ended) {
            mutableState.value = if (isLive) StreamState.Live else StreamState.Connecting
        }
    }

    private companion object {
        /** After these a stream must not reconnect by itself. */
        val FINAL = setOf("REPLACED", "DEVICE_LIMIT", "TOKEN_REVOKED", "ACCOUNT_DELETED")

        // Raising them rides out a slower network; lowering them notices a dead stream sooner.
        val READY_WITHIN = 10.seconds
        const val MISSED_HEARTBEATS = 3

        // Raising it fetches more before the first screen; lowering it leaves more to be loaded.
        const val LIST_PAGE = 100
    }
}
