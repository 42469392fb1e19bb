package parley.client

import io.grpc.CallCredentials
import io.grpc.Metadata
import io.grpc.Status
import java.time.Instant
import java.util.concurrent.Executor
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock

/** A token of the network (a JWT), and when it ends. */
class AccessToken(val value: String, val expires: Instant)

/** Gives the app's current token; asked again before it ends, and when it was refused. */
typealias TokenProvider = suspend () -> AccessToken

/** Puts the token on each call. Calls that come together share one login. */
internal class Tokens(private val scope: CoroutineScope, private val provider: TokenProvider) : CallCredentials() {
    private val turn = Mutex()
    private var token: AccessToken? = null

    /** The next call asks the provider anew: the token was refused. */
    suspend fun forget() = turn.withLock { token = null }

    override fun applyRequestMetadata(info: RequestInfo, executor: Executor, applier: MetadataApplier) {
        scope.launch {
            try {
                val headers = Metadata()
                headers.put(AUTHORIZATION, "Bearer ${current()}")
                applier.apply(headers)
            } catch (error: CancellationException) {
                applier.fail(Status.CANCELLED)
                throw error
            } catch (error: Exception) {
                // Whatever the login said: it is tried again, as after any other failure on the way.
                applier.fail(Status.UNAVAILABLE.withDescription("no token").withCause(error))
            }
        }
    }

    private suspend fun current(): String = turn.withLock {
        val good = token?.takeIf { Instant.now() < it.expires.minusSeconds(RENEW_BEFORE_S) }
        (good ?: provider().also { token = it }).value
    }

    private companion object {
        // Raising it costs more logins; lowering it lets a call go out with a token that ends on the way.
        const val RENEW_BEFORE_S = 30L
        val AUTHORIZATION: Metadata.Key<String> = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER)
    }
}
