"""Reconcile: settle what nobody knows the fate of by asking the provider; never send it again.

A call that was interrupted, or timed out, or was answered by an error of the provider's, may have sent. Its callback settles
it by itself, usually within seconds. For the rest the provider's list is read: one day at a time where many are in doubt, one
number at a time where few are. What is found is written down like any other word of the provider. What is not found in two looks
through the whole list, minutes apart, has failed by the provider's own evidence: it has no record of it (docs/adr/0012). It is
not sent again all the same, goes on counting against every cap, and a late callback corrects it. What the list cannot answer (a
text that was redacted, several that may be it, a provider that keeps no list) is parked after a while, and a person sees it.

In:   how to open the lists; the ledger.
Out:  a `Reconciled`: counts. Attempts settled, failed or parked, in pages, each in transactions of its own.
Pure: no.
Source: ARCHITECTURE.md "Attempt state machine"; PROVIDERS.md A8; invariant I2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from channels import ChannelError, codes
from channels.listed import KeyedList, Listed, ProviderList
from config.message_files import message_texts
from config.replies import reply_policy_in_force
from config.settings import settings
from decisions.messages import NoTextError, gaps
from decisions.words import GATEWAY
from gate import matching
from gate.late import Late, close_late
from ledger import attempts, clock, inbox, outbox, unknowns, vault
from ledger.attempts import NO_RECORD, Move
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.unknowns import Group, Unknown

# Attempts that are held at once.
PAGE: Final = 1_000
# Fewer are asked for one number at a time, whatever the length of the day's list.
BULK_MIN: Final = 20
# What waits in the provider's queue leaves it within this time, or not at all (channels/sms.py, ValidityPeriod).
QUEUED_MAX: Final = timedelta(hours=10)
NO_LIST: Final = "its provider keeps no list to ask; sent at most once"
NOT_TO_BE_ASKED: Final = "its number is another one now, so the provider's list proves nothing"
UNREADABLE: Final = "the provider's list shows too many texts without our link to tell which are ours"
NOT_LISTED: Final = "the provider has no record of it: its whole list was read twice"
# Numbers at which a day's list shows texts that bear no link of ours; with more, that list proves nothing.
STRANGE_MAX: Final = 50_000


ListFactory = Callable[[], ProviderList | KeyedList]


@dataclass(slots=True, kw_only=True)
class Reconciled:
    """What one run of reconcile did, in counts.

    Attributes:
        called_unknown: `submitting` past its deadline, called unknown now.
        never_called: The same, but no call was made: planned again now.
        settled: State → attempts that the provider's list settled; `failed` also where it has no record of them.
        parked: Attempts parked now.
        waiting: Attempts that are left for the next run: too young to give up, or nobody answered.
        listed: Messages that were read in lists.
        questions: Lists that were asked for.
        trouble: Code of what kept a provider from answering; None where all was answered.
        parked_in_all: Attempts that wait for a person.
    """

    called_unknown: int = 0
    never_called: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    parked: int = 0
    waiting: int = 0
    listed: int = 0
    questions: int = 0
    trouble: str | None = None
    parked_in_all: int = 0


def reconcile(lists: Mapping[str, ListFactory]) -> Reconciled:
    """Settle, or park, every attempt whose fate is not known and whose call ended long enough ago.

    Safe to run again, and beside lanes, webhooks and another reconcile: every move is guarded by the state it leaves.

    Args:
        lists: Channel, or provider that is asked by key → how to open its list. What is missing is parked by its age alone.
    """
    return asyncio.run(_Reconcile().run(lists))


class _Reconcile:
    """One run."""

    def __init__(self) -> None:
        chosen = settings()
        self._look_after_seconds = chosen.reconcile_after_seconds
        self._park_after = timedelta(seconds=chosen.park_after_seconds)
        # Two looks at a list are so far apart at least.
        self._between_looks = timedelta(seconds=max(0.0, chosen.park_after_seconds - chosen.reconcile_after_seconds))
        # A part of what may be in flight: sending goes first.
        self._questions_at_once = max(1, chosen.sms_concurrency // 4)
        self._vocabulary = Vocabulary(
            state_of=codes.state_of,
            meaning_of=codes.meaning_of_callback,
            intent_of=codes.intent_of,
            replies=reply_policy_in_force(),
            result_of=codes.result_of,
        )
        self._texts = message_texts()
        self._done = Reconciled()

    async def run(self, lists: Mapping[str, ListFactory]) -> Reconciled:
        """Group by group."""
        self._close_late()
        with connection() as tx:
            groups = unknowns.groups(tx, quiet_seconds=self._look_after_seconds)
        for group in groups:
            with connection() as tx:
                began = outbox.wall_clock(tx)
            asked = GATEWAY if group.by_gateway else group.channel
            if asked not in lists:
                self._park_by_age(group, began)
                continue
            try:
                await self._ask(group, lists[asked], began)
            except ChannelError as error:
                # Nothing was learned: nothing is parked for it.
                self._done.trouble = error.code
        with connection() as tx:
            self._done.parked_in_all = unknowns.count_parked(tx)
            self._done.waiting = sum(group.unknown for group in unknowns.groups(tx, quiet_seconds=0))
        return self._done

    def _close_late(self) -> None:
        """Close what is `submitting` past its deadline: whoever made the call, or did not come to it, is gone."""
        late = Late(PAGE, PAGE)
        while PAGE in late:
            with connection() as tx:
                late = close_late(tx, campaign_run_id=None, at=clock.now(tx), at_most=PAGE)
            self._done.called_unknown += late.unknown
            self._done.never_called += late.never_called

    async def _ask(self, group: Group, open_list: ListFactory, began: datetime) -> None:
        provider = open_list()
        try:
            if isinstance(provider, KeyedList):
                await self._ask_by_key(group, provider, began)
            else:
                await self._ask_about(group, provider, began)
        finally:
            await provider.close()

    async def _ask_by_key(self, group: Group, provider: KeyedList, began: datetime) -> None:
        """Ask for each attempt by its token; where many are in doubt, what was taken in that time is read first."""
        if group.unknown > provider.page_size:
            async with contextlib.aclosing(
                provider.taken(since=group.since - matching.BEFORE, until=group.until + matching.AFTER)
            ) as taken:
                async for messages in taken:
                    self._recognise(provider.provider, messages)
        for page in self._pages(group, began):
            told, silent = await self._ask_for_keys(provider, page)
            found = [(one, (message,)) for one in page if (message := told.get(one.id)) is not None]
            self._settle(provider.provider, found)
            # Before that, a request that is still under way somewhere could be taken after the question.
            provable = began - provider.proof_after
            none = [one for one in page if one.id in told and told[one.id] is None and one.call_deadline <= provable]
            self._not_listed(provider.provider, none, began)
            if silent is not None:
                raise silent

    async def _ask_for_keys(self, provider: KeyedList, page: Sequence[Unknown]) -> tuple[Mapping[int, Listed | None], ChannelError | None]:
        """Attempt id → what became of it, or None where there is no such message; and what kept the provider from answering for others."""
        free = asyncio.Semaphore(self._questions_at_once)
        told: dict[int, Listed | None] = {}
        silent: list[ChannelError] = []

        async def ask(attempt: Unknown) -> None:
            async with free:
                if silent:
                    return
                try:
                    message = await provider.about(attempt.token)
                except ChannelError as error:
                    # Of one that it is at just now it cannot speak; whoever does not answer otherwise is not asked a thousand times.
                    if error.code != codes.IN_PROGRESS:
                        silent.append(error)
                    return
            self._done.questions += 1
            self._done.listed += message is not None
            told[attempt.id] = message

        async with asyncio.TaskGroup() as tasks:
            for attempt in page:
                tasks.create_task(ask(attempt))
        return told, silent[0] if silent else None

    async def _ask_about(self, group: Group, provider: ProviderList, began: datetime) -> None:
        bulk = group.unknown > max(BULK_MIN, 2 * (1 + ceil(group.submitted / provider.page_size)))
        strange = await self._look_through_the_day(group, provider, began) if bulk else None
        for page in self._pages(group, began):
            # Its token would have stood in the day's list; only texts without a link, or at a number with such texts, are asked for.
            unseen = [
                one for one in page if strange is None or not self._bears_its_token(one, group.channel) or self._is_strange(one, strange)
            ]
            if strange is not None and len(strange) > STRANGE_MAX:
                self._park(page, dict.fromkeys((one.id for one in page), UNREADABLE), began)
                continue
            told = await self._ask_for_numbers(group, provider, unseen) if unseen else {}
            self._settle(provider.provider, [(one, told[one.id].messages) for one in unseen if told[one.id].messages])
            left = [one for one in page if one.id not in told or not told[one.id].messages]
            causes = {one.id: cause for one in left if (cause := _why_not_told(one, told.get(one.id))) is not None}
            self._park([one for one in left if one.id in causes], causes, began)
            self._not_listed(provider.provider, [one for one in left if one.id not in causes], began)

    def _pages(self, group: Group, began: datetime) -> Iterator[list[Unknown]]:
        """The group's attempts that are still unknown, page by page."""
        after = 0
        while True:
            with connection() as tx:
                page = unknowns.page(tx, group, after=after, at_most=PAGE, quiet_before=began, quiet_seconds=self._look_after_seconds)
            if not page:
                return
            yield page
            after = page[-1].id

    async def _look_through_the_day(self, group: Group, provider: ProviderList, began: datetime) -> set[str]:
        """Read what was sent in that time, and what was not sent yet, and recognise ours by their tokens.

        Returns:
            Numbers at which texts were seen that bear no token; no more than one page beyond `STRANGE_MAX`.
        """
        since, until = group.since - matching.BEFORE, group.until + matching.AFTER
        strange: set[str] = set()
        async with contextlib.aclosing(provider.sent(since=since, until=until)) as dated:
            async for messages in dated:
                strange |= self._recognise(provider.provider, messages)
                if len(strange) > STRANGE_MAX:
                    return strange
        if group.until < began - QUEUED_MAX:
            return strange
        async with contextlib.aclosing(provider.newest()) as newest:
            async for messages in newest:
                strange |= self._recognise(provider.provider, messages)
                if len(strange) > STRANGE_MAX or (
                    messages and all(one.created_at is not None and one.created_at < since for one in messages)
                ):
                    break
        return strange

    def _is_strange(self, attempt: Unknown, strange: AbstractSet[str]) -> bool:
        """Whether a text without a token was seen at an attempt's number, or its number is not known any more."""
        if not strange:
            return False
        return (
            attempt.value_encrypted is None or attempt.key_id is None or vault.decrypt(attempt.value_encrypted, attempt.key_id) in strange
        )

    def _recognise(self, provider: str, messages: Sequence[Listed]) -> set[str]:
        """Settle those attempts whose token stands in these texts; returns the numbers of those texts that bear none."""
        self._done.questions += 1
        self._done.listed += len(messages)
        tokens = [(matching.tokens_in(message), message) for message in messages]
        named = [(token, message) for found, message in tokens for token in found]
        strange = {message.to for found, message in tokens if not found}
        if not named:
            return strange
        with connection() as tx:
            ours = {attempt.token: attempt for attempt in unknowns.by_token(tx, [token for token, _ in named])}
        told: dict[int, list[Listed]] = {}
        for token, message in named:
            if token in ours:
                told.setdefault(ours[token].id, []).append(message)
        by_id = {attempt.id: attempt for attempt in ours.values()}
        self._settle(provider, [(by_id[attempt_id], tuple(found)) for attempt_id, found in told.items()])
        return strange

    async def _ask_for_numbers(self, group: Group, provider: ProviderList, asked: Sequence[Unknown]) -> Mapping[int, matching.Found]:
        """Ask for each attempt's number by itself."""
        with connection() as tx:
            same = unknowns.at_the_same_number(tx, group.business_date, [attempt.id for attempt in asked])
        free = asyncio.Semaphore(self._questions_at_once)

        silent: list[ChannelError] = []

        async def ask(attempt: Unknown) -> matching.Found:
            if attempt.value_encrypted is None or attempt.key_id is None:
                return matching.Found()
            number = vault.decrypt(attempt.value_encrypted, attempt.key_id)
            async with free:
                if silent:
                    return matching.Found()
                try:
                    messages = [message async for page in provider.to(number) for message in page]
                except ChannelError as error:
                    # Whoever is not answered once, after several tries, is not asked a thousand times.
                    silent.append(error)
                    return matching.Found()
            self._done.questions += 1
            self._done.listed += len(messages)
            if not messages:
                return matching.Found()
            with connection() as tx:
                taken = unknowns.known_ids(tx, [message.provider_id for message in messages])
            return matching.match(same[attempt.id] or [attempt], messages, taken=taken)[attempt.id]

        async with asyncio.TaskGroup() as tasks:
            asking = {attempt.id: tasks.create_task(ask(attempt)) for attempt in asked}
        found = {attempt_id: task.result() for attempt_id, task in asking.items()}
        if silent:
            self._settle(provider.provider, [(one, found[one.id].messages) for one in asked if found[one.id].messages])
            raise silent[0]
        return found

    def _bears_its_token(self, attempt: Unknown, channel: str) -> bool:
        """Whether the attempt's text has the link in which its token stands."""
        try:
            words = self._texts.text(attempt.message, attempt.locale).words.get(channel)
        except NoTextError:
            return False
        return words is not None and "link" in gaps(words.body)

    def _settle(self, provider: str, found: Sequence[tuple[Unknown, tuple[Listed, ...]]]) -> None:
        """Write down that these were sent, and what the provider says of them, as if it had told us by itself."""
        if not found:
            return
        with connection() as tx:
            at = clock.now(tx)
            standing = attempts.lock_attempts(tx, {(attempt.business_date, attempt.id) for attempt, _ in found})
            moves = [
                Move(
                    business_date=attempt.business_date,
                    attempt_id=attempt.id,
                    from_state=standing[attempt.id].state,
                    to_state="accepted",
                    cause="found in the provider's list",
                    changes={"provider": provider, "provider_id": messages[0].provider_id, "segments": messages[0].segments},
                )
                for attempt, messages in found
                if standing[attempt.id].state in {"unknown", "parked"}
            ]
            attempts.move(tx, moves, at=at)
        said = [_said(provider, attempt, message) for attempt, messages in found for message in messages]
        inbox.receive(said, self._vocabulary)
        moved = {wanted.attempt_id for wanted in moves}
        self._done.settled.update(
            codes.state_of(provider, messages[0].status) or "accepted" for attempt, messages in found if attempt.id in moved
        )

    def _not_listed(self, provider: str, found: Sequence[Unknown], began: datetime) -> None:
        """Write down that a whole list did not show these; those for which it is the second time have failed."""
        twice = {one.id for one in found if one.not_listed_at is not None and one.not_listed_at <= began - self._between_looks}
        moves = [
            Move(
                business_date=one.business_date,
                attempt_id=one.id,
                from_state="unknown",
                to_state="failed",
                cause=NOT_LISTED,
                claim_id=one.claim_id,
                changes={"provider": provider, "error_code": NO_RECORD},
            )
            for one in found
            if one.id in twice
        ]
        with connection() as tx:
            unknowns.note_not_listed(tx, [(one.business_date, one.id) for one in found if one.id not in twice])
            failed = len(attempts.move(tx, moves, at=clock.now(tx)))
        self._done.settled.update({"failed": failed} if failed else {})

    def _park_by_age(self, group: Group, began: datetime) -> None:
        for page in self._pages(group, began):
            self._park(page, {attempt.id: NO_LIST for attempt in page}, began)

    def _park(self, found: Sequence[Unknown], causes: Mapping[int, str], began: datetime) -> None:
        """Leave to a person what has been unknown for long enough; it goes on counting against every cap."""
        moves = [
            Move(business_date=one.business_date, attempt_id=one.id, from_state="unknown", to_state="parked", cause=causes[one.id])
            for one in found
            if one.call_deadline < began - self._park_after
        ]
        with connection() as tx:
            self._done.parked += len(attempts.move(tx, moves, at=clock.now(tx)))


def _why_not_told(attempt: Unknown, found: matching.Found | None) -> str | None:
    """Why a list that does not surely show an attempt does not say either that there is no such message; None where it does."""
    if found is not None and found.candidates:
        return f"{found.candidates} messages at the provider may be it; a person has to say"
    if found is not None and not attempt.is_same_number:
        return NOT_TO_BE_ASKED
    return None


def _said(provider: str, attempt: Unknown, message: Listed) -> Said:
    """A list's line, as the callback that never came."""
    return Said(
        provider=provider,
        provider_id=message.provider_id,
        kind="status",
        status=message.status,
        token=attempt.token,
        error_code=message.error_code,
        fields={
            "MessageSid": message.provider_id,
            "MessageStatus": message.status,
            "ErrorCode": message.error_code or "",
            "Listed": "true",
        },
    )
