#!/usr/bin/env bash
# A driver of a client that is nothing but curl and jq: it shows what the service has, and follows the stream of events to know
# whether it is live. A reference for drivers of clients without a library: bash tests/contract/drivers/curl.sh
set -uo pipefail

url= token= device= follower=
here=$(mktemp -d)
trap 'stop; rm -rf "$here"' EXIT

given() { jq -r ".$1" <<<"$line"; }
say() { jq -cn --argjson n "$(given n)" "$@"; }
done_with() { say --argjson done "$1" '{n: $n, done: $done}'; }

# api METHOD PATH [BODY]: the answer, repeated while the network or the service fails for a while. An answer that is lost
# changes nothing: each request says the same again, under the same key.
api() {
  local answer status attempt
  for attempt in 1 2 3 4 5 6 7 8; do
    answer=$(curl -sS -m 5 -X "$1" -w '\n%{http_code}' -H "Authorization: Bearer $token" \
      -H 'content-type: application/json' ${3:+-d "$3"} "$url$2" 2>/dev/null)
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    case $status in
      200) printf '%s' "$answer" && return 0 ;;
      000 | 429 | 5??) sleep "$(jq -n "$attempt * 0.25")" ;;
      *) break ;;
    esac
  done
  printf '%s' "$answer"
  return 1
}

# Answers with what jq makes of the API's answer, or with the reason of its refusal.
answer() {
  local made=$1 said
  shift
  if said=$(api "$@"); then
    done_with "$(jq -c "$made" <<<"$said")"
  else
    say --arg reason "$(jq -r '[.details[]?.reason // empty][0] // "unknown"' <<<"$said")" '{n: $n, refused: $reason}'
  fi
}

# Follows the events until the server has another stream in this one's place.
follow() {
  local last='' name='' text delay=1
  while :; do
    while IFS= read -r text; do
      text=${text%$'\r'}
      case $text in
        'event: '*) name=${text#event: } ;;
        'id: '*) last=${text#id: } ;;
        'data: '*)
          [ "$name" = ready ] && delay=1 && echo live >"$here/state"
          if [ "$name" = end ]; then
            reason=$(jq -r '[.details[]?.reason // empty][0] // ""' <<<"${text#data: }")
            case $reason in
              REPLACED | DEVICE_LIMIT | TOKEN_REVOKED | ACCOUNT_DELETED) echo "ended $reason" >"$here/state" && return ;;
            esac
          fi
          ;;
      esac
    done < <(exec curl -sSN -H "Authorization: Bearer $token" ${last:+-H "Last-Event-ID: $last"} \
      "$url/v1/events?deviceId=$device" 2>/dev/null)
    echo connecting >"$here/state"
    sleep "$delay"
    delay=$((delay < 8 ? delay * 2 : 8))
  done
}

stop() {
  [ -n "$follower" ] && kill -- "-$follower" 2>/dev/null && wait "$follower" 2>/dev/null
  follower=
}

start() {
  url=$(given url) device=$(given device)
  token=$(curl -sS "$(given issuer)/dev/login" -d "$(jq -c '{user_id: .user}' <<<"$line")" | jq -r .token)
  echo connecting >"$here/state"
  # In a group of its own, so that its curl ends with it.
  set -m
  follow &
  follower=$!
  set +m
  for _ in $(seq 100); do
    [ "$(cat "$here/state")" = live ] && break
    sleep 0.1
  done
  done_with '{}'
}

shown='{messages: [.messages // [] | reverse[] | {
  seq: (.seq | tonumber), from: .senderId, text: .text.text, gone: (has("unsent") or has("expired")),
  reactions: ([.reactions[]? | {(.emoji): .userIds}] | add // {})}]}'

while IFS= read -r line; do
  place=/v1/conversations/$(given conversation)/messages
  case $(given do) in
    start) start ;;
    stop) stop && done_with '{}' ;;
    state)
      read -r state reason <"$here/state"
      done_with "$(jq -cn --arg state "$state" --arg reason "${reason:-}" '{state: $state, reason: $reason}')"
      ;;
    open) answer '{conversation: .conversation.conversationId}' POST /v1/conversations "$(jq -c '{peerUserId: .peer}' <<<"$line")" ;;
    send) answer '{seq: (.message.seq | tonumber)}' POST "$place" "$(jq -c '{clientMessageId: .key, text: {text: .text}}' <<<"$line")" ;;
    edit) answer '{}' PATCH "$place/$(given seq)" "$(jq -c '{text: {text: .text}}' <<<"$line")" ;;
    unsend) answer '{}' DELETE "$place/$(given seq)" ;;
    react) answer '{}' PUT "$place/$(given seq)/reactions" "$(jq -c '{emoji: .emoji, present: true}' <<<"$line")" ;;
    read) answer '{}' PUT "/v1/conversations/$(given conversation)/read" "$(jq -c '{seq: (.seq | tostring)}' <<<"$line")" ;;
    shown) answer "$shown" GET "$place?pageSize=200" ;;
    *) say '{n: $n, cannot: "it has no such command"}' ;;
  esac
done
