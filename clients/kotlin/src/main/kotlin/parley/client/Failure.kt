package parley.client

import com.google.protobuf.Any
import com.google.protobuf.Message
import com.google.rpc.BadRequest
import com.google.rpc.ErrorInfo
import com.google.rpc.RetryInfo
import io.grpc.Status
import io.grpc.StatusException
import io.grpc.protobuf.StatusProto
import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.nanoseconds
import kotlin.time.Duration.Companion.seconds

/**
 * What was asked for was not done. The protos say which reasons an RPC has.
 *
 * [reason] is that of google.rpc.ErrorInfo, empty where there is none: the edge's own refusals by gRPC have none. [field] is the
 * first one of the request that is at fault, or empty. [retryAfter] is how long the service asks to wait, or zero.
 */
class Failure(
    val code: Status.Code,
    val reason: String,
    val field: String,
    val retryAfter: Duration,
    description: String,
    cause: Throwable,
) : Exception(listOf(code.name, reason, field, description).filter(String::isNotEmpty).joinToString(": "), cause) {
    /** The same request may succeed later. */
    val passes: Boolean get() = code in PASSING || reason == "ATTACHMENT_NOT_SCANNED"

    companion object {
        // CANCELLED by a server or a proxy: it ended while the request was on its way.
        private val PASSING = setOf(
            Status.Code.UNAVAILABLE,
            Status.Code.DEADLINE_EXCEEDED,
            Status.Code.RESOURCE_EXHAUSTED,
            Status.Code.ABORTED,
            Status.Code.INTERNAL,
            Status.Code.UNKNOWN,
            Status.Code.CANCELLED,
        )

        /** Reads google.rpc.Status out of the trailers. */
        fun of(error: StatusException): Failure {
            val details = StatusProto.fromThrowable(error)?.detailsList.orEmpty()
            val violation = details.find<BadRequest>()?.fieldViolationsList?.firstOrNull()
            val wait = details.find<RetryInfo>()?.retryDelay
            return Failure(
                error.status.code,
                details.find<ErrorInfo>()?.reason.orEmpty(),
                violation?.field.orEmpty(),
                wait?.run { seconds.seconds + nanos.nanoseconds } ?: Duration.ZERO,
                error.status.description.orEmpty(),
                error,
            )
        }

        private inline fun <reified T : Message> List<Any>.find(): T? =
            firstOrNull { it.`is`(T::class.java) }?.unpack(T::class.java)
    }
}

/**
 * How long to wait before an attempt.
 *
 * [first]: raising it spares a struggling server, lowering it comes back sooner. [most]: raising it spreads many devices
 * wider, lowering it comes back sooner after a long outage.
 */
class BackOff(private val first: Duration = 0.2.seconds, private val most: Duration = 10.seconds) {
    /** Doubles from [attempt] 0 on, half of it left to [chance] (0 to 1); never less than the service [asked] for. */
    fun delay(attempt: Int, asked: Duration = Duration.ZERO, chance: Double = Random.nextDouble()): Duration {
        val full = (first * (1 shl attempt.coerceIn(0, 16))).coerceAtMost(most)
        return (full * (0.5 + chance / 2)).coerceAtLeast(asked)
    }
}
