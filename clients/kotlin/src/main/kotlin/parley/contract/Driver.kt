/** The driver of the Kotlin client for the contract of clients (docs/start/contract.md): a command a line. */
package parley.contract

import com.google.gson.JsonArray
import com.google.gson.JsonObject
import com.google.gson.JsonParser
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpRequest.BodyPublishers
import java.net.http.HttpResponse.BodyHandlers
import java.time.Instant
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import parley.client.AccessToken
import parley.client.Failure
import parley.client.ParleyClient
import parley.client.StreamState
import parley.client.TokenProvider
import parley.messaging.v1.Messages.Message

/** The development issuer's login. An app asks its network instead. */
fun devTokens(issuer: String, userId: String): TokenProvider = {
    val login = JsonObject().apply { addProperty("user_id", userId) }
    val request = HttpRequest.newBuilder(URI("$issuer/dev/login")).header("content-type", "application/json")
        .POST(BodyPublishers.ofString(login.toString())).build()
    val said = withContext(Dispatchers.IO) { HttpClient.newHttpClient().send(request, BodyHandlers.ofString()) }
    check(said.statusCode() == 200) { "${said.statusCode()} ${said.body()}" }
    val answer = JsonParser.parseString(said.body()).asJsonObject
    AccessToken(answer.text("token"), Instant.parse(answer.text("expires_at")))
}

private class Driver {
    private var running: ParleyClient? = null
    private val client get() = checkNotNull(running) { "it was not started" }

    /** What the client observed; null for a command that it does not have. */
    suspend fun done(given: JsonObject): JsonObject? = JsonObject().apply {
        when (given.text("do")) {
            "start" -> start(given)
            "stop" -> stop()
            "state" -> state(this)
            "open" -> addProperty("conversation", client.openDirect(given.text("peer")))
            "send" -> addProperty("seq", client.send(given.conversation, given.text("text"), given.text("key")).seq)
            "edit" -> client.edit(given.conversation, given.seq, given.text("text"))
            "unsend" -> client.unsend(given.conversation, given.seq)
            "react" -> client.react(given.conversation, given.seq, given.text("emoji"))
            "read" -> client.markRead(given.conversation, given.seq)
            "shown" -> add("messages", shown(client.shown(given.conversation)))
            else -> return null
        }
    }

    fun stop() {
        running?.close()
        running = null
    }

    private suspend fun start(given: JsonObject) {
        val user = given.text("user")
        running = ParleyClient(given.text("url"), user, given.text("device"), tokens = devTokens(given.text("issuer"), user))
        client.start()
        client.state.first { it != StreamState.Connecting }
    }

    private fun state(answer: JsonObject) = when (val state = client.state.value) {
        StreamState.Live -> answer.addProperty("state", "live")
        StreamState.Connecting -> answer.addProperty("state", "connecting")
        is StreamState.Ended -> {
            answer.addProperty("state", "ended")
            answer.addProperty("reason", state.reason)
        }
    }

    private fun shown(messages: List<Message>) = JsonArray().apply { messages.forEach { add(shown(it)) } }

    private fun shown(message: Message) = JsonObject().apply {
        addProperty("seq", message.seq)
        addProperty("from", message.senderId)
        addProperty("text", message.text.text)
        addProperty("gone", message.hasUnsent() || message.hasExpired())
        add("reactions", JsonObject().apply {
            for (reaction in message.reactionsList) {
                add(reaction.emoji, JsonArray().apply { reaction.userIdsList.forEach(::add) })
            }
        })
    }
}

private fun JsonObject.text(name: String): String = get(name).asString
private val JsonObject.conversation get() = text("conversation")
private val JsonObject.seq get() = get("seq").asLong

fun main(): Unit = runBlocking {
    val driver = Driver()
    for (line in generateSequence(::readlnOrNull)) {
        val given = JsonParser.parseString(line).asJsonObject
        val answer = JsonObject().apply { add("n", given["n"]) }
        try {
            val done = driver.done(given)
            if (done != null) answer.add("done", done) else answer.addProperty("cannot", "no command ${given.text("do")}")
        } catch (failure: Failure) {
            answer.addProperty("refused", failure.reason.ifEmpty { failure.code.name })
        }
        println(answer)
        System.out.flush()
    }
    driver.stop()
}
