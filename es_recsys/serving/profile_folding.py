"""Profiles of many users at once: folded in bulk, and brought up to what the event store holds, whatever was cut off before.

A version's profiles index says in its mapping up to which position of the event store they are folded: every row and change
up to there is in them. Profiles are written by compare-and-set and never go back, so that it stays true whoever writes. What
recording folds in beyond it is seen, and left, by the next look.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from es_recsys.batching import batched, map_ahead
from es_recsys.errors import WriteError
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.log_position import LogPosition
from es_recsys.events.profile_documents import RESUME_FIELDS, can_resume, resume, to_document
from es_recsys.events.profile_state import ProfileConfig, ProfileState
from es_recsys.events.profiles import fold, named_item
from es_recsys.events.records import StoredEvent
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action, EncodedAction
from es_recsys.index.dead_letters import WriteFailure
from es_recsys.index.fetch import scan_ids
from es_recsys.index.id_set import IdSet
from es_recsys.index.stored_profiles import StoredProfile, fetch_profiles, read_fold_checkpoint, write_fold_checkpoint
from es_recsys.index.versions import create_missing_profiles_index
from es_recsys.progress import Progress, ProgressCounter
from es_recsys.serving.product_groups import grouping_version
from es_recsys.serving.recording import quarantine_unknown_items, update_profile
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_item_content
from es_recsys.serving.workspace import Workspace

if TYPE_CHECKING:
    from es_recsys.events.history_folding import HistoryFolding  # it loads scipy

__all__ = ["count_outdated_profiles", "fold_all_profiles", "fold_new_events"]

_BATCH_SIZE = 500
_CONTENT_CACHE_SIZE = 50_000
_MAX_PASSES = 20
# A share of the rows above which every actor is looked at, in order, in place of a list of those concerned.
_FULL_PASS_SHARE = 0.25


def fold_all_profiles(work: Workspace, snapshot: ServingSnapshot, progress: Progress | None = None) -> tuple[int, int]:
    """Fold every profile of a version from row 0; return how many were written and removed."""
    create_missing_profiles_index(work.job_es, snapshot.metadata)
    work.confirm_key(snapshot.metadata, adopt=True)
    run = _ProfilePass(work, snapshot, from_scratch=True)
    target = run.target()
    written = run.fold(work.events.actors(), progress)
    removed = run.remove_others(target)
    write_fold_checkpoint(work.job_es, snapshot.metadata.profiles, target)
    return written + fold_new_events(work, snapshot), removed


def fold_new_events(work: Workspace, snapshot: ServingSnapshot, events: EventArrays | None = None) -> int:
    """Bring the profiles of a version up to what the event store holds; return how many were written.

    Only those of actors with new or changed events are looked at; all where that is not known, or where profiles were folded
    under other settings. events: all of them, as cleaning left them, so that they need not be read again.
    """
    create_missing_profiles_index(work.job_es, snapshot.metadata)
    work.confirm_key(snapshot.metadata, adopt=True)
    written = 0
    for _ in range(_MAX_PASSES):
        run, checkpoint, target = _plan_pass(work, snapshot)
        if checkpoint == target:
            break
        run.use(events, target)
        whole, actors, gone = _affected_actors(run, checkpoint, target)
        written += run.fold(actors)
        if whole:
            run.remove_others(target)
        else:
            run.remove(gone, target)
        write_fold_checkpoint(work.job_es, snapshot.metadata.profiles, target)
    return written


def count_outdated_profiles(work: Workspace, snapshot: ServingSnapshot) -> int:
    """Return how many profiles of a version lack what the event store holds."""
    run, checkpoint, target = _plan_pass(work, snapshot)
    if checkpoint == target:
        return 0
    _, actors, gone = _affected_actors(run, checkpoint, target)
    return sum(len(due) for due in run.due(actors)) + len(
        fetch_profiles(work.job_es, snapshot.metadata.profiles, sorted(gone), ())
    )


def _plan_pass(work: Workspace, snapshot: ServingSnapshot) -> tuple[_ProfilePass, dict[str, Any] | None, dict[str, Any]]:
    """Return a pass, the checkpoint up to which profiles are folded (None: unknown), and the one it will reach."""
    checkpoint = read_fold_checkpoint(work.job_es, snapshot.metadata.profiles)
    run = _ProfilePass(work, snapshot)
    target = run.target()
    if checkpoint is None:
        # Under which products the profiles were folded is not known, either.
        return _ProfilePass(work, snapshot, from_scratch=target["variants"] is not None), checkpoint, target
    # Another event store, or an older copy: what was folded is not what it holds.
    other = checkpoint["row"] > target["row"] or checkpoint["change"] > target["change"]
    if other or checkpoint.get("variants") != target["variants"]:
        return _ProfilePass(work, snapshot, from_scratch=True), None, target
    return run, checkpoint, target


def _affected_actors(
    run: _ProfilePass, checkpoint: Mapping[str, Any] | None, target: Mapping[str, Any]
) -> tuple[bool, Iterable[str], set[str]]:
    """Return whether all actors are affected, which are, and the keys of those that have no events any more."""
    store = run.work.events
    if checkpoint is None or any(checkpoint.get(name) != target[name] for name in ("revision", "terms")):
        return True, run.actors(), set()
    keys = store.changed_keys(checkpoint["change"])
    many = target["row"] - checkpoint["row"] > _FULL_PASS_SHARE * target["row"]
    newer = [] if many else store.actors_after(checkpoint["row"])
    changed = []
    # Those with new events first: mostly it is they whose events cleaning has changed.
    for actor in chain(newer, run.actors()) if keys else ():
        if (key := run.snapshot.key_of(actor)) in keys:
            keys.discard(key)
            changed.append(actor)
            if not keys:
                break
    if many:
        return False, run.actors(), keys
    return False, sorted({*changed, *newer}), keys


@dataclass(frozen=True, slots=True)
class _Due:
    """A profile that lacks something. stored: without what folding needs; None where there is none."""

    actor: str
    key: str
    stored: StoredProfile | None
    revision: int


class _ProfilePass:
    """One pass over actors. from_scratch: every profile is due, and folded from row 0."""

    def __init__(self, work: Workspace, snapshot: ServingSnapshot, *, from_scratch: bool = False) -> None:
        self.work, self.snapshot, self._from_scratch = work, snapshot, from_scratch
        self._index = snapshot.metadata.profiles
        self._config = ProfileConfig.of(snapshot.settings.profiles, work.events.timed, snapshot.metadata.event_weights)
        self._content: OrderedDict[str, ItemContent | None] = OrderedDict()
        self._visited = IdSet()
        self._retries: list[str] = []
        self._histories: HistoryFolding | None = None
        self._change = -1

    def use(self, events: EventArrays | None, target: Mapping[str, Any]) -> None:
        """Take histories from `events`, where these are all that the pass is to reach."""
        if events is None or events.position._asdict() != {name: target[name] for name in LogPosition._fields}:
            return
        from es_recsys.events.history_folding import HistoryFolding

        self._histories, self._change = HistoryFolding(events, self._config), events.position.change

    def actors(self) -> Iterable[str]:
        """Return every actor once."""
        known = None if self._histories is None else self._histories.all_actors
        return self.work.events.actors() if known is None else known

    def _last_rows(self, actors: Sequence[str]) -> Mapping[str, int]:
        if self._histories is not None and all(actor in self._histories for actor in actors):
            return self._histories.last_rows(actors)
        return self.work.events.last_rows(actors)

    def target(self) -> dict[str, Any]:
        """Return the checkpoint that the profiles' mapping holds when this pass is done."""
        terms = json.dumps(asdict(self._config), sort_keys=True).encode()
        return {
            **self.work.events.log_position()._asdict(),
            "terms": hashlib.blake2b(terms, digest_size=8).hexdigest(),
            "variants": grouping_version(self.snapshot.metadata),
        }

    def fold(self, actors: Iterable[str], progress: Progress | None = None) -> int:
        """Write the profiles that are due and return how many. Those that somebody else writes meanwhile follow one by one."""
        failures = _WriteFailures()
        actions = failures.track(self._actions(actors))
        report = bulk_write(
            self.work.job_es,
            actions,
            index=self._index,
            dead_letters=failures,
            progress=ProgressCounter(progress),
            refresh=True,
        )
        if failures.refused is not None:
            raise WriteError(
                f"Profiles were not written ({failures.refused.reason}).", "Mend that, then: es-recsys profiles build"
            )
        again = list(dict.fromkeys([*failures.overtaken, *self._retries]))
        for actor in again:
            self.work.driver.run(update_profile(self.snapshot, self.work.events, actor, self.work.now()))
        return report.stored + len(again)

    def due(self, actors: Iterable[str]) -> Iterator[list[_Due]]:
        """Yield of each batch of actors those whose profiles lack something, or are there without events."""
        store = self.work.events
        for batch in batched(actors, _BATCH_SIZE):
            keys = {actor: self.snapshot.key_of(actor) for actor in batch}
            self._visited.update(keys.values())
            # Read first: who writes from now on is noticed at the writing.
            stored = fetch_profiles(
                self.work.job_es, self._index, list(keys.values()), () if self._from_scratch else RESUME_FIELDS
            )
            revisions, last = store.revisions(batch), self._last_rows(batch)
            looked = (_Due(actor, key, stored.get(key), revisions[actor]) for actor, key in keys.items())
            yield [it for it in looked if self._from_scratch or self._lacks(it, last.get(it.actor))]

    def remove_others(self, target: Mapping[str, Any]) -> int:
        """Remove profiles of actors that this pass didn't visit; return how many."""
        pages = scan_ids(self.work.job_es, self._index, "user_key")
        return self.remove((key for keys in pages for key in self._visited.missing(keys)), target)

    def remove(self, keys: Iterable[str], target: Mapping[str, Any]) -> int:
        """Remove profiles by key, but for those that hold later events than the pass knew of; return how many."""
        removed = 0
        for batch in batched(keys, _BATCH_SIZE):
            stored = fetch_profiles(self.work.job_es, self._index, batch, ("applied_through",))
            old = {key: it for key, it in stored.items() if it.source.get("applied_through", 0) <= target["row"]}
            actions = (Action(key, operation="delete", precondition=it.seq_no) for key, it in old.items())
            removed += bulk_write(self.work.job_es, actions, index=self._index, refresh=True).deleted if old else 0
        return removed

    def _lacks(self, it: _Due, last: int | None) -> bool:
        if it.stored is None or last is None:
            return it.stored is not None or last is not None
        return not can_resume(it.stored.source, self._config, it.revision) or it.stored.source.get("applied_through", 0) < last

    def _actions(self, actors: Iterable[str]) -> Iterator[tuple[str, Action]]:
        """Yield (actor, the action that writes its profile)."""
        for due in self.due(actors):
            if due:
                yield from self._fold_batch(due)
            while len(self._content) > _CONTENT_CACHE_SIZE:
                self._content.popitem(last=False)

    def _fold_batch(self, due: Sequence[_Due]) -> Iterator[tuple[str, Action]]:
        store, now = self.work.events, self.work.now()
        going = [
            it for it in due if not self._from_scratch and it.stored and can_resume(it.stored.source, self._config, it.revision)
        ]
        whole = fetch_profiles(self.work.job_es, self._index, [it.key for it in going], None)
        states: dict[str, ProfileState] = {}
        versions: dict[str, tuple[int, int] | None] = {}
        for it in due:
            stored = whole.get(it.key, it.stored)
            versions[it.actor] = None if stored is None else stored.seq_no
            source = stored.source if stored is not None and it.key in whole else None
            states[it.actor] = resume(source, it.key, self._config, it.revision)
        together = self._fold_together([it for it in due if not states[it.actor].applied_through])
        for it in due:
            if it.actor in together:
                document = to_document(together[it.actor], now)
                yield it.actor, Action(it.key, document, precondition=versions[it.actor] or "absent")
        due = [it for it in due if it.actor not in together]
        if not due:
            return
        old = [it.actor for it in due if states[it.actor].applied_through]
        rows = store.rows_of([it.actor for it in due if not states[it.actor].applied_through])
        if old:
            rows.update(store.rows_of(old, min(states[actor].applied_through for actor in old)))
        if self._set_aside(list(chain.from_iterable(rows.values()))):
            self._retries += [it.actor for it in due]
            return
        for it in due:
            state, events, version = states[it.actor], rows.get(it.actor, []), versions[it.actor]
            if events:
                items = {
                    i: found for row in events if (i := row.item_id) is not None and (found := self._content.get(i)) is not None
                }
                yield it.actor, Action(it.key, to_document(fold(state, events, items), now), precondition=version or "absent")
            elif version is not None and not state.applied_through:
                yield it.actor, Action(it.key, operation="delete", precondition=version)

    def _fold_together(self, due: Sequence[_Due]) -> dict[str, ProfileState]:
        """Return the profiles that are folded from the histories at hand, by actor; none where the store has changed since."""
        histories = self._histories
        # Looked at after the revisions of `due`, so that these are of the events at hand.
        if histories is None or self.work.events.log_position().change != self._change:
            return {}
        whose = [it for it in due if it.actor in histories]
        actors = [it.actor for it in whose]
        self._look_up(histories.item_ids(actors))
        if not whose or any(self._content.get(item_id) is None for item_id in histories.item_ids(actors, counting=True)):
            return {}
        content = {item_id: found for item_id, found in self._content.items() if found is not None}
        states = histories.fold(actors, [it.key for it in whose], [it.revision for it in whose], content)
        return dict(zip(actors, states, strict=True))

    def _look_up(self, item_ids: Iterable[str]) -> None:
        """Have the content of items at hand."""
        lacking = [item_id for item_id in item_ids if item_id not in self._content]

        def fetch(ids: Sequence[str]) -> dict[str, ItemContent | None]:
            found = self.work.driver.run(fetch_item_content(self.snapshot, ids))
            return {item_id: found.get(item_id) for item_id in ids}

        for found in map_ahead(fetch, batched(lacking, _BATCH_SIZE), 2):
            self._content.update(found)

    def _set_aside(self, rows: Sequence[StoredEvent]) -> bool:
        """Look up the rows' items, and flag rows on unknown ones in the event store; return whether one came just now."""
        self._look_up(dict.fromkeys(item for row in rows if (item := named_item(row)) is not None))
        known = {item_id: it for item_id, it in self._content.items() if it is not None}
        if not self.work.driver.run(quarantine_unknown_items(self.snapshot, self.work.events, rows, known)):
            return False
        self._content.clear()
        return True


class _WriteFailures:
    """Profiles that were not written: `overtaken` by another writer, or `refused` (the first one)."""

    def __init__(self) -> None:
        self.overtaken: list[str] = []
        self.refused: WriteFailure | None = None
        self._actors: OrderedDict[str, str] = OrderedDict()

    def track(self, actions: Iterable[tuple[str, Action]]) -> Iterator[Action]:
        """Yield the actions alone, and remember whose they are while they may be on their way."""
        for actor, action in actions:
            self._actors[action.id] = actor
            while len(self._actors) > 40 * _BATCH_SIZE:
                self._actors.popitem(last=False)
            yield action

    def add(self, failure: WriteFailure, action: Action | EncodedAction) -> None:
        if failure.status == 409 or (failure.status == 404 and failure.operation == "delete"):
            self.overtaken.append(self._actors[failure.id])
        else:
            self.refused = self.refused or failure
