"""One run of `unsee experiment`: maps from stores, records picture by picture, and what they come to."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unsee.cli.casting import Cast
from unsee.cli.learning import watched
from unsee.cli.progress import bar
from unsee.cli.tabling import files_of
from unsee.datasets.dataset import description
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case, Experiment, Record, Summary, by
from unsee.experiments.looks import Look, Picture, Stage, Staged, of_methods
from unsee.explanation import finite
from unsee.figures.experiment import draw_summary
from unsee.figures.grids import boxed, draw_boxes, draw_maps, draw_points, pointed
from unsee.masks.settings import described
from unsee.runs.learn import learn
from unsee.runs.place import Place
from unsee.runs.run import differences
from unsee.runs.store import Store
from unsee.runs.targets import ClassMap

_AT_ONCE, _DRAWN, _MOST_COLUMNS = 32, 3, 12
_RECORDS, _TRIAL = "records-{:06d}.json", "experiment.json"
FIGURE, PICTURES = "figure.png", "pictures.png"
"""The files of a trial's figures; the second is there if the experiment has pictures to show."""
_WORDS = ("title", "asks", "paper_data", "shows")


@dataclass(frozen=True, eq=False)
class Trial:
    """An experiment, what it is done with, and where its results go.

    Args:
        class_map: label's name → the classifier's classes.
        masks: stores that are there already.
        limit: only the first so many pictures.
        out: the folder of records, tables and figures.
        maps: the folder of the stores that are made; other experiments may share them.
    """

    experiment: Experiment
    stage: Stage
    class_map: ClassMap | None
    masks: Sequence[Store]
    seed: int
    limit: int | None
    out: Path
    maps: Path

    def run(self, check: Callable[[], None]) -> Summary:
        """Do what is missing, write tables and figures, and return what they say; `check` is called often.

        Raises:
            UnseeError: no picture can serve, a store does not fit, or the folder holds another experiment.
        """
        place = Place.at(self.out)
        with place.claimed():
            cast = self._cast(check)
            self._agree(place, cast)
            records = list(self._records(place, cast))
            if not records:
                raise UnseeError(
                    f"no picture can serve {self.experiment.name}: docs/experiments.md says what it takes"
                )
            summary = self.experiment.summary(records)
            if (
                description(self.stage.dataset).get("name", "").partition(":")[0]
                not in self.experiment.paper_data
            ):
                summary = summary.without_paper()
            for name, content in files_of(summary).items():
                place.write(name, content)
            draw_summary(summary, self.out / FIGURE)
            self._draw(cast, records)
        return summary

    def _cast(self, check: Callable[[], None]) -> Cast:
        """The looks of the experiment with their stores, which are made or taken up."""
        asks = self.experiment
        looks = asks.looks(self.stage) if isinstance(asks, Staged) else of_methods(self.stage)
        given = {store.manifest["settings"]["method"]: store for store in self.masks}
        stores = {look.name: _fitting(given[look.name], look) for look in looks if look.name in given}
        for look in looks:
            if look.name not in stores:
                stores[look.name] = self._made(look, self.maps / _folder_name(look), check)
        return Cast(looks, stores, self.seed)

    def _made(self, look: Look, folder: Path, check: Callable[[], None]) -> Store:
        needs_map = self.class_map if look.target in ("label", "each") else None
        with watched(f"{look.name.replace('_', ' ')}:", check) as progress:
            return learn(
                look.classifier,
                look.dataset,
                folder,
                method=look.method,
                preset=look.preset,
                target=look.target,
                class_map=needs_map,
                seed=self.seed,
                limit=self.limit,
                progress=progress,
            )

    def _agree(self, place: Place, cast: Cast) -> None:
        """Keep what decides the records, or see that it has not changed.

        Raises:
            UnseeError: the folder holds another experiment.
        """
        own = {key: value for key, value in described(self.experiment).items() if key not in _WORDS}
        hashes = {name: store.manifest["settings_hash"] for name, store in cast.stores.items()}
        wanted = json.loads(json.dumps({"experiment": own, "maps": hashes}))
        try:
            kept = json.loads(place.read(_TRIAL))
        except FileNotFoundError:
            kept = wanted
            place.write(_TRIAL, json.dumps(wanted, indent=1).encode())
        except ValueError:
            raise UnseeError(f"{self.out / _TRIAL} is damaged: name another folder") from None
        changed = differences(kept, wanted)
        if changed:
            raise UnseeError(
                f"{self.out} holds another experiment ({'; '.join(changed)}): name another folder"
            )

    @property
    def _numbers(self) -> range:
        count = len(self.stage.dataset)
        return range(min(count, self.limit or count))

    def _records(self, place: Place, cast: Cast) -> Iterator[Record]:
        """The records of all pictures; those of an earlier run are read again."""
        count, known = len(self._numbers), set(place.names())
        network = self.stage.classifiers[0]
        with bar(transient=True) as progress:
            task = progress.add_task(self.experiment.name, total=count, note="")
            for first in range(0, count, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, count))
                name = _RECORDS.format(first)
                if len(numbers) == _AT_ONCE and name in known:
                    yield from json.loads(place.read(name))
                else:
                    found: list[Record] = []
                    for case in cast.cases(numbers):
                        found += self.experiment.records(network, case)
                        progress.advance(task)
                    place.write(name, json.dumps(finite(found)).encode())
                    yield from found
                progress.update(task, completed=numbers.stop)

    def _draw(self, cast: Cast, records: Sequence[Record]) -> None:
        """The first pictures of an experiment that has some to show."""
        if not isinstance(self.experiment, Staged):
            return
        file = self.out / PICTURES
        if self.experiment.shows is Picture.BOXES:
            draw_boxes([boxed(case, own) for case, own in self._first(cast, records)], file)
        elif self.experiment.shows is Picture.POINTS:
            draw_points([pointed(case) for case, _ in self._first(cast, records)], file)
        else:
            proofs = cast.proofs(self._numbers, _DRAWN)
            if all(proofs.values()):
                draw_maps(dict(list(proofs.items())[:_MOST_COLUMNS]), file)

    def _first(self, cast: Cast, records: Sequence[Record]) -> list[tuple[Case, list[Record]]]:
        """The first pictures that have something to say, with what it is."""
        known = dict(list(by(records, "id").items())[:_DRAWN])
        dataset = self.stage.dataset
        numbers = [number for number in self._numbers if dataset.id(number) in known]
        cases = {case.sample.id: case for case in cast.cases(numbers)}
        return [(cases[name], own) for name, own in known.items()]


def _folder_name(look: Look) -> str:
    """Look and question, without what a file system may not like."""
    return "-".join(re.findall(r"[\w.]+", f"{look.name} {look.target}"))


def _fitting(store: Store, look: Look) -> Store:
    """A store that was given, if its maps are of the network that is asked.

    Raises:
        UnseeError: they are not.
    """
    settings: Mapping[str, Any] = store.manifest["settings"]
    wanted = {"model": look.classifier.name, "input_size": list(look.classifier.size)}
    if look.classifier.weights_sha256 is not None:
        wanted["weights_sha256"] = look.classifier.weights_sha256
    changed = differences({key: settings[key] for key in wanted}, wanted)
    if changed:
        raise UnseeError(f"the maps in {store.place.address} do not serve here ({'; '.join(changed)})")
    return store
