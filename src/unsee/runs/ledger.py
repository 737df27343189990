"""What a store has of a run, and what is missing."""

from dataclasses import dataclass
from typing import NamedTuple

from unsee.runs.job import Job, Portion
from unsee.runs.parts import Damage, part_name, part_number
from unsee.runs.store import Store


@dataclass(frozen=True)
class Ledger:
    """The parts of a store by the number of their portion.

    Args:
        store: the store.
        names: the files of each portion, including damaged ones.
        whole: the part of each portion that is read.
    """

    store: Store
    names: dict[int, list[str]]
    whole: dict[int, str]

    @classmethod
    def of(cls, store: Store) -> "Ledger":
        """The parts of a store."""
        names: dict[int, list[str]] = {}
        for name in store.names:
            names.setdefault(part_number(name), []).append(name)
        return cls(store, names, {part_number(name): name for name in store.parts})

    def tidy(self) -> None:
        """Remove the other files of each portion that has a whole part."""
        for name in self.store.parts:
            self.replace(name)

    def has(self, number: int, keys: list[tuple[str, str]]) -> bool:
        """Whether the store has all rows of a portion."""
        name = self.whole.get(number)
        if name is None or name == part_name(number, keys):
            return name is not None
        return set(keys) <= set(self.store.keys_of(name))

    def replace(self, part: str) -> None:
        """Remove the other files of a part's portion."""
        number = part_number(part)
        for name in self.names.get(number, ()):
            if name != part:
                self.store.storage.remove(name)
        self.names[number] = [part]


class Missing(NamedTuple):
    """What is missing.

    Args:
        portions: those of which any row is missing; they are done again completely.
        total: the number of rows that the run will have.
        there: how many of them are there.
        left_out: images that have no row.
    """

    portions: list[Portion]
    total: int
    there: int
    left_out: int


def missing_from(ledger: Ledger, job: Job, size: int, limit: int | None, retry: bool) -> Missing:
    """Find what a store lacks of the first `limit` images, `size` of them to a portion.

    A portion of which any row is missing is done again completely, so that its images are learned in the
    same batches as in a run that was never stopped.

    Args:
        ledger: the parts of the store.
        job: the rows that the store should have.
        size: the number of images in a portion.
        limit: only the first so many images; None for all.
        retry: do portions again in which images failed.
    """
    again = set(map(part_number, ledger.store.parts_with_errors())) if retry else set()
    portions, total, there, left_out = [], 0, 0, 0
    for portion in job.portions(size, limit):
        keys = [item.key for item in job.items(portion)]
        total += len(keys)
        left_out += portion.stop - portion.first - len({id for id, _ in keys})
        if not keys:
            continue
        if not ledger.has(portion.number, keys):
            portions.append(portion)
        elif portion.number in again:
            portions.append(_as_large_as_stored(job, ledger, portion, size))
        else:
            there += len(keys)
    return Missing(portions, total, there, left_out)


def damage_of(ledger: Ledger, missing: Missing) -> tuple[tuple[Damage, ...], tuple[Damage, ...]]:
    """The damaged parts: those that will be done again, and those beyond the run's limit, which stay."""
    wanted = {portion.number for portion in missing.portions}
    damaged = {damage: part_number(damage.part) for damage in ledger.store.damaged}
    again = (damage for damage, number in damaged.items() if number in wanted)
    beyond = (damage for damage, number in damaged.items() if number not in wanted | ledger.whole.keys())
    return tuple(again), tuple(beyond)


def _as_large_as_stored(job: Job, ledger: Ledger, portion: Portion, size: int) -> Portion:
    """A portion that this run's limit cuts, extended to the rows that an earlier run has stored."""
    kept = ledger.whole[portion.number]
    for stop in range(portion.stop, min(portion.first + size, len(job.dataset)) + 1):
        larger = portion._replace(stop=stop)
        if part_name(portion.number, [item.key for item in job.items(larger)]) == kept:
            return larger
    return portion
