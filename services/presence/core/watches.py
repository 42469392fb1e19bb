"""Who watches whom."""

from collections.abc import Collection, Iterable

from services.presence.core.model import SessionRef, UserId


class Watches:
    """What each session watches, and by whom each user is watched."""

    def __init__(self) -> None:
        self._watched: dict[SessionRef, tuple[UserId, ...]] = {}
        self._watchers: dict[UserId, set[SessionRef]] = {}

    def clear(self) -> None:
        """Nobody watches anybody."""
        self._watched.clear()
        self._watchers.clear()

    def replace(self, ref: SessionRef, user_ids: Iterable[UserId]) -> None:
        """The session watches these, and nobody else."""
        for user_id in self._watched.pop(ref, ()):
            self._drop(user_id, ref)
        wanted = tuple(dict.fromkeys(user_ids))
        if wanted:
            self._watched[ref] = wanted
        for user_id in wanted:
            self._watchers.setdefault(user_id, set()).add(ref)

    def remove_watchers(self, user_id: UserId) -> Collection[SessionRef]:
        """Nobody watches this user any more. Returns who did."""
        refs = self._watchers.pop(user_id, set())
        for ref in refs:
            left = tuple(watched for watched in self._watched[ref] if watched != user_id)
            if left:
                self._watched[ref] = left
            else:
                del self._watched[ref]
        return refs

    def watchers_of(self, user_id: UserId) -> Collection[SessionRef]:
        """The sessions that watch a user."""
        return self._watchers.get(user_id, ())

    def watched_users(self) -> list[UserId]:
        """Everybody whom somebody watches, in order."""
        return sorted(self._watchers)

    def _drop(self, user_id: UserId, ref: SessionRef) -> None:
        refs = self._watchers.get(user_id)
        if refs:
            refs.discard(ref)
            if not refs:
                del self._watchers[user_id]
