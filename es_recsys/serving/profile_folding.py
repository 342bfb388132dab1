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
from typing import Any

from es_recsys.batching import batched
from es_recsys.errors import WriteError
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.profile_documents import RESUME_FIELDS, can_resume, resume, to_document
from es_recsys.events.profile_state import ProfileConfig, ProfileState
from es_recsys.events.profiles import fold
from es_recsys.events.records import StoredEvent
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action, EncodedAction
from es_recsys.index.dead_letters import WriteFailure
from es_recsys.index.fetch import scan_ids
from es_recsys.index.id_set import IdSet
from es_recsys.index.stored_profiles import StoredProfile, fetch_profiles, read_fold_checkpoint, write_fold_checkpoint
from es_recsys.index.versions import create_missing_profiles_index
from es_recsys.progress import Progress, ProgressCounter
from es_recsys.serving.product_groups import variants_mark
from es_recsys.serving.recording import quarantine_unknown_items, update_profile
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import features
from es_recsys.serving.workspace import Workspace

__all__ = ["behind", "catch_up", "rebuild"]

_ACTORS = 500
_FEATURES_KEPT = 50_000
_TURNS = 20
# A share of the rows above which every actor is looked at, in order, in place of a list of those concerned.
_MANY = 0.25


def rebuild(work: Workspace, snapshot: ServingSnapshot, progress: Progress | None = None) -> tuple[int, int]:
    """Writes every profile into the view's profiles index, anew from row 0; -> how many were written and removed."""
    create_missing_profiles_index(work.patient, snapshot.metadata)
    work.confirm_key(snapshot.metadata, adopt=True)
    run = _Run(work, snapshot, anew=True)
    target = run.target()
    written = run.fold(work.events.actors(), progress)
    removed = run.remove_others(target)
    write_fold_checkpoint(work.patient, snapshot.metadata.profiles, target)
    return written + catch_up(work, snapshot), removed


def catch_up(work: Workspace, snapshot: ServingSnapshot) -> int:
    """Brings the profiles of the view's version up to what the event store holds; -> how many were written.

    Only those are looked at that events have come for, or whose events have changed, since they were folded; all where that
    is not known, or where they were folded under other settings.
    """
    create_missing_profiles_index(work.patient, snapshot.metadata)
    work.confirm_key(snapshot.metadata, adopt=True)
    written = 0
    for _ in range(_TURNS):
        run, mark, target = _looked(work, snapshot)
        if mark == target:
            break
        whole, actors, gone = _concerned(run, mark, target)
        written += run.fold(actors)
        if whole:
            run.remove_others(target)
        else:
            run.remove(gone, target)
        write_fold_checkpoint(work.patient, snapshot.metadata.profiles, target)
    return written


def behind(work: Workspace, snapshot: ServingSnapshot) -> int:
    """How many profiles of the version lack what the event store holds."""
    run, mark, target = _looked(work, snapshot)
    if mark == target:
        return 0
    _, actors, gone = _concerned(run, mark, target)
    return sum(len(due) for due in run.due(actors)) + len(
        fetch_profiles(work.patient, snapshot.metadata.profiles, sorted(gone), ())
    )


def _looked(work: Workspace, snapshot: ServingSnapshot) -> tuple[_Run, dict[str, Any] | None, dict[str, Any]]:
    """-> what a pass is made with, up to where the profiles are folded, and how far the event store is."""
    mark = read_fold_checkpoint(work.patient, snapshot.metadata.profiles)
    run = _Run(work, snapshot)
    target = run.target()
    if mark is None:
        # Under which products the profiles were folded is not known, either.
        return _Run(work, snapshot, anew=target["variants"] is not None), mark, target
    # Another event store, or an older copy: what was folded is not what it holds.
    other = mark["row"] > target["row"] or mark["change"] > target["change"]
    if other or mark.get("variants") != target["variants"]:
        return _Run(work, snapshot, anew=True), None, target
    return run, mark, target


def _concerned(run: _Run, mark: Mapping[str, Any] | None, target: Mapping[str, Any]) -> tuple[bool, Iterable[str], set[str]]:
    """-> whether all actors are, which are, and keys of those that have no events any more."""
    store = run.work.events
    if mark is None or any(mark.get(name) != target[name] for name in ("revision", "terms")):
        return True, store.actors(), set()
    keys = store.changed_keys(mark["change"])
    changed = []
    if keys:
        for actor in store.actors():
            if (key := run.view.key_of(actor)) in keys:
                keys.discard(key)
                changed.append(actor)
    if target["row"] - mark["row"] > _MANY * target["row"]:
        return False, store.actors(), keys
    return False, sorted({*changed, *store.actors_after(mark["row"])}), keys


@dataclass(frozen=True, slots=True)
class _Due:
    """A profile that lacks something. stored: as it stands, without what folding needs; None where there is none."""

    actor: str
    key: str
    stored: StoredProfile | None
    revision: int


class _Run:
    """One pass over actors. anew: every profile is due, and folded from row 0."""

    def __init__(self, work: Workspace, snapshot: ServingSnapshot, *, anew: bool = False) -> None:
        self.work, self.view, self._anew = work, snapshot, anew
        self._index = snapshot.metadata.profiles
        self._config = ProfileConfig.of(snapshot.settings.profiles, work.events.timed, snapshot.metadata.event_weights)
        self._known: OrderedDict[str, ItemContent | None] = OrderedDict()
        self._seen = IdSet()
        self._again: list[str] = []

    def target(self) -> dict[str, Any]:
        """What the profiles' mapping says when this pass is done."""
        terms = json.dumps(asdict(self._config), sort_keys=True).encode()
        return {
            **self.work.events.log_position()._asdict(),
            "terms": hashlib.blake2b(terms, digest_size=8).hexdigest(),
            "variants": variants_mark(self.view.metadata),
        }

    def fold(self, actors: Iterable[str], progress: Progress | None = None) -> int:
        """Writes the profiles that are due; -> how many. Those that somebody else writes meanwhile follow one by one."""
        letters = _Letters()
        actions = letters.told(self._actions(actors))
        report = bulk_write(
            self.work.patient, actions, index=self._index, dead_letters=letters, progress=ProgressCounter(progress), refresh=True
        )
        if letters.refused is not None:
            raise WriteError(
                f"Profiles were not written ({letters.refused.reason}).", "Mend that, then: es-recsys profiles build"
            )
        again = list(dict.fromkeys([*letters.overtaken, *self._again]))
        for actor in again:
            self.work.driver.run(update_profile(self.view, self.work.events, actor, self.work.now()))
        return report.stored + len(again)

    def due(self, actors: Iterable[str]) -> Iterator[list[_Due]]:
        """Of each batch of actors, those whose profiles lack something, or are there without events."""
        store = self.work.events
        for batch in batched(actors, _ACTORS):
            keys = {actor: self.view.key_of(actor) for actor in batch}
            self._seen.update(keys.values())
            # Read first: who writes from now on is noticed at the writing.
            stored = fetch_profiles(self.work.patient, self._index, list(keys.values()), () if self._anew else RESUME_FIELDS)
            revisions, last = store.revisions(batch), store.last_rows(batch)
            looked = (_Due(actor, key, stored.get(key), revisions[actor]) for actor, key in keys.items())
            yield [it for it in looked if self._anew or self._lacks(it, last.get(it.actor))]

    def remove_others(self, target: Mapping[str, Any]) -> int:
        """Removes profiles of actors that this pass didn't meet; -> how many."""
        return self.remove((key for keys in scan_ids(self.work.patient, self._index) for key in self._seen.missing(keys)), target)

    def remove(self, keys: Iterable[str], target: Mapping[str, Any]) -> int:
        """Removes profiles by key, but for those that hold later events than the pass knew of; -> how many."""
        removed = 0
        for batch in batched(keys, _ACTORS):
            stored = fetch_profiles(self.work.patient, self._index, batch, ("applied_through",))
            old = {key: it for key, it in stored.items() if it.source.get("applied_through", 0) <= target["row"]}
            actions = (Action(key, operation="delete", precondition=it.seq_no) for key, it in old.items())
            removed += bulk_write(self.work.patient, actions, index=self._index, refresh=True).deleted if old else 0
        return removed

    def _lacks(self, it: _Due, last: int | None) -> bool:
        if it.stored is None or last is None:
            return it.stored is not None or last is not None
        return not can_resume(it.stored.source, self._config, it.revision) or it.stored.source.get("applied_through", 0) < last

    def _actions(self, actors: Iterable[str]) -> Iterator[tuple[str, Action]]:
        """(actor, what writes its profile)."""
        for due in self.due(actors):
            if due:
                yield from self._folded(due)
            while len(self._known) > _FEATURES_KEPT:
                self._known.popitem(last=False)

    def _folded(self, due: Sequence[_Due]) -> Iterator[tuple[str, Action]]:
        store, now = self.work.events, self.work.now()
        going = [it for it in due if not self._anew and it.stored and can_resume(it.stored.source, self._config, it.revision)]
        whole = fetch_profiles(self.work.patient, self._index, [it.key for it in going], None)
        states: dict[str, ProfileState] = {}
        versions: dict[str, tuple[int, int] | None] = {}
        for it in due:
            stored = whole.get(it.key, it.stored)
            versions[it.actor] = None if stored is None else stored.seq_no
            source = stored.source if stored is not None and it.key in whole else None
            states[it.actor] = resume(source, it.key, self._config, it.revision)
        old = [actor for actor, state in states.items() if state.applied_through]
        rows = store.rows_of([actor for actor in states if not states[actor].applied_through])
        if old:
            rows.update(store.rows_of(old, min(states[actor].applied_through for actor in old)))
        if self._set_aside(list(chain.from_iterable(rows.values()))):
            self._again += states
            return
        for it in due:
            state, events, version = states[it.actor], rows.get(it.actor, []), versions[it.actor]
            if events:
                items = {
                    i: found for row in events if (i := row.item_id) is not None and (found := self._known.get(i)) is not None
                }
                yield it.actor, Action(it.key, to_document(fold(state, events, items), now), precondition=version or "absent")
            elif version is not None and not state.applied_through:
                yield it.actor, Action(it.key, operation="delete", precondition=version)

    def _set_aside(self, rows: Sequence[StoredEvent]) -> bool:
        """Looks up the rows' items, and says in the store which are on none; -> whether one came just now."""
        lacking = [i for i in dict.fromkeys(row.item_id for row in rows) if i is not None and i not in self._known]
        found = self.work.driver.run(features(self.view, lacking))
        self._known.update((item_id, found.get(item_id)) for item_id in lacking)
        known = {item_id: it for item_id, it in self._known.items() if it is not None}
        if not self.work.driver.run(quarantine_unknown_items(self.view, self.work.events, rows, known)):
            return False
        self._known.clear()
        return True


class _Letters:
    """What becomes of profiles that were not written: which actors' somebody else has written meanwhile, and the first
    that was refused."""

    def __init__(self) -> None:
        self.overtaken: list[str] = []
        self.refused: WriteFailure | None = None
        self._actors: OrderedDict[str, str] = OrderedDict()

    def told(self, actions: Iterable[tuple[str, Action]]) -> Iterator[Action]:
        """The actions alone; whose they are is kept while they may be on their way."""
        for actor, action in actions:
            self._actors[action.id] = actor
            while len(self._actors) > 40 * _ACTORS:
                self._actors.popitem(last=False)
            yield action

    def add(self, failure: WriteFailure, action: Action | EncodedAction) -> None:
        if failure.status == 409 or (failure.status == 404 and failure.operation == "delete"):
            self.overtaken.append(self._actors[failure.id])
        else:
            self.refused = self.refused or failure
