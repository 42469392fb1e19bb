"""Stores of relations and reports in memory, held to the same contracts as PostgreSQL's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from services.messaging.kernel.model import ConversationId, UserId, pair_key
from services.messaging.kernel.quotas import DayQuota
from services.messaging.kernel.request import RequestState
from services.messaging.relations.core.errors import (
    ConversationQuota,
    ReportNotFound,
    ReportQuota,
    RequestQuota,
    TooManyBlocks,
)
from services.messaging.relations.core.graph import Block, GraphEvent, GraphEventKind, Source, newest
from services.messaging.relations.core.reach import Relationship, Settings, SettingsChange, apply_change
from services.messaging.relations.core.reports import Report, State
from services.messaging.relations.core.throttling import REPORTS_COUNT_FOR, requests_allowed
from services.messaging.relations.ports import DecideReport, Pair

if TYPE_CHECKING:
    from tests.support.messaging import FakeStore


class FakeRelations:
    """See services.messaging.relations.ports.RelationStore. Works on the conversations of a FakeStore."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self._settings: dict[UserId, Settings] = {}
        self._blocks: dict[tuple[UserId, UserId, Source], GraphEvent] = {}
        self._graph_events: dict[tuple[GraphEventKind, UserId, UserId], GraphEvent] = {}
        self._opened: dict[tuple[UserId, datetime], int] = {}
        self._asked: dict[tuple[UserId, datetime], int] = {}
        # Of FakeReports, which shares them.
        self.reports: dict[UUID, Report] = {}

    async def settings_of(self, user_id: UserId) -> Settings:
        return self._settings.get(user_id, Settings())

    async def change_settings(self, user_id: UserId, change: SettingsChange, now: datetime) -> Settings:
        self._settings[user_id] = apply_change(await self.settings_of(user_id), change)
        return self._settings[user_id]

    async def block(self, user_id: UserId, other: UserId, limit: int, now: datetime) -> None:
        mine = [event for key, event in self._blocks.items() if key[2] is Source.PARLEY and event.user_id == user_id]
        if self._stands(user_id, other, Source.PARLEY):
            return
        if sum(event.stands for event in mine) >= limit:
            raise TooManyBlocks
        self._write_block(Source.PARLEY, GraphEvent(GraphEventKind.BLOCKS, user_id, other, True, now))

    async def unblock(self, user_id: UserId, other: UserId, now: datetime) -> None:
        self._write_block(Source.PARLEY, GraphEvent(GraphEventKind.BLOCKS, user_id, other, False, now))

    async def list_blocks(self, user_id: UserId, below: Block | None, limit: int) -> Sequence[Block]:
        times: dict[UserId, datetime] = {}
        for event in self._blocks.values():
            if event.user_id == user_id and event.stands:
                times[event.other_id] = max(event.time, times.get(event.other_id, event.time))
        marks = sorted(((time, other) for other, time in times.items()), reverse=True)
        return [
            Block(other, time) for time, other in marks if below is None or (time, other) < (below.time, below.user_id)
        ][:limit]

    async def blocked_among(self, user_id: UserId, others: Collection[UserId]) -> Collection[UserId]:
        return {other for other in others if self._is_blocked(user_id, other)}

    async def relationships(self, pairs: Collection[Pair]) -> Mapping[Pair, Relationship]:
        return {pair: self.relationship(*pair) for pair in pairs}

    async def accept(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> None:
        if await self._request(conversation_id, user_id) is not RequestState.ACCEPTED:
            self._store.set_request(conversation_id, user_id, RequestState.ACCEPTED, now)

    async def decline(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> None:
        if await self._request(conversation_id, user_id) is RequestState.PENDING:
            self._store.set_request(conversation_id, user_id, RequestState.DECLINED, now)

    async def apply_graph_events(self, events: Sequence[GraphEvent]) -> None:
        for event in newest(events):
            if event.kind is GraphEventKind.BLOCKS:
                known = self._blocks.get((event.user_id, event.other_id, Source.NETWORK))
                if known is None or known.time < event.time:
                    self._write_block(Source.NETWORK, event)
            elif event.key not in self._graph_events or self._graph_events[event.key].time < event.time:
                self._graph_events[event.key] = event

    def relationship(self, one: UserId, other: UserId) -> Relationship:
        """What one person's word about the other depends on."""
        direct = self._store.direct_of(pair_key(one, other))
        member = direct.member(one) if direct else None
        said = self._store.messages_of(direct.id) if direct else []
        return Relationship(
            settings=self._settings.get(one, Settings()),
            blocked=self._is_blocked(one, other),
            follows=self._is_fact(GraphEventKind.FOLLOWS, one, other),
            verified=self._is_fact(GraphEventKind.VERIFIED, other, UserId("")),
            let_in=member is not None and member.request is RequestState.ACCEPTED,
            contacted=any(m.sender_id == one and not m.client_message_id.startswith("\x1f") for m in said),
            unanswered=sum(
                member.request is not RequestState.ACCEPTED and member.added_by == other
                for conversation in self._store.conversations_of(one)
                if (member := conversation.member(one)) is not None
            ),
        )

    def check_quota(self, quota: DayQuota, opened: int, asked: int) -> None:
        """Count a new conversation, and those who have to let it in. Raises ConversationQuota, RequestQuota."""
        key = (quota.user_id, quota.day_start)
        if opened and self._opened.get(key, 0) + opened > quota.limit:
            raise ConversationQuota(quota.retry_delay_s)
        if asked and quota.requests is not None:
            reporters = {
                report.reporter_id
                for report in self.reports.values()
                if quota.user_id in report.reported_ids
                and report.created_at >= quota.day_start - REPORTS_COUNT_FOR
                and report.state is not State.DISMISSED
            }
            if self._asked.get(key, 0) + asked > requests_allowed(quota.requests, len(reporters)):
                raise RequestQuota(quota.retry_delay_s)
        self._opened[key] = self._opened.get(key, 0) + opened
        self._asked[key] = self._asked.get(key, 0) + asked

    async def _request(self, conversation_id: ConversationId, user_id: UserId) -> RequestState:
        conversation = await self._store.find_conversation(conversation_id)
        member = conversation.member(user_id) if conversation else None
        return member.request if member else RequestState.ACCEPTED

    def _write_block(self, source: Source, event: GraphEvent) -> None:
        self._blocks[event.user_id, event.other_id, source] = event
        direct = self._store.direct_of(pair_key(event.user_id, event.other_id))
        if direct:
            self._store.set_blocked(direct.id, self._is_blocked(event.user_id, event.other_id))

    def _is_blocked(self, one: UserId, other: UserId) -> bool:
        return any(self._stands(*pair, source) for pair in ((one, other), (other, one)) for source in Source)

    def _stands(self, user_id: UserId, other: UserId, source: Source) -> bool:
        event = self._blocks.get((user_id, other, source))
        return event is not None and event.stands

    def _is_fact(self, kind: GraphEventKind, one: UserId, other: UserId) -> bool:
        event = self._graph_events.get((kind, one, other))
        return event is not None and event.stands


class FakeReports:
    """See services.messaging.relations.ports.ReportStore."""

    def __init__(self, relations: FakeRelations | None = None) -> None:
        self._reports: dict[UUID, Report] = relations.reports if relations else {}

    async def file(self, report: Report, quota: DayQuota) -> Report:
        mine = [kept for kept in self._reports.values() if kept.reporter_id == report.reporter_id]
        for kept in mine:
            if kept.client_report_id == report.client_report_id:
                return kept
        if sum(kept.created_at >= quota.day_start for kept in mine) >= quota.limit:
            raise ReportQuota(quota.retry_delay_s)
        self._reports[report.id] = report
        return report

    async def find_filed(self, reporter_id: UserId, client_report_id: str) -> Report | None:
        kept = self._reports.values()
        return next((r for r in kept if (r.reporter_id, r.client_report_id) == (reporter_id, client_report_id)), None)

    async def find(self, report_id: UUID) -> Report | None:
        return self._reports.get(report_id)

    async def list(self, state: State, after: UUID | None, limit: int) -> Sequence[Report]:
        kept = sorted(self._reports.values(), key=lambda report: report.id)
        wanted = [report for report in kept if report.state is state and (after is None or report.id > after)]
        return [replace(report, messages=()) for report in wanted[:limit]]

    async def change(self, report_id: UUID, decide: DecideReport) -> Report:
        before = self._reports.get(report_id)
        if before is None:
            raise ReportNotFound
        self._reports[report_id] = decide(before) or before
        return self._reports[report_id]
