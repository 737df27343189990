"""One run of `unsee experiment`: maps from stores, records picture by picture, and what they come to."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from unsee.cli.casting import Cast
from unsee.cli.progress import bar
from unsee.cli.recording import records_of
from unsee.cli.run_progress import run_progress
from unsee.cli.staging import fitting, method_of
from unsee.cli.tabling import files_of
from unsee.datasets.dataset import description
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case, Experiment, Record, Summary, by
from unsee.experiments.maps import MapSource, OwnMaps, Picture, Setup, of_methods
from unsee.figures.experiment import draw_summary
from unsee.figures.grids import boxed, draw_boxes, draw_maps, draw_points, pointed
from unsee.models import BVLC_GOOGLENET
from unsee.records import described, differences
from unsee.runs.learn import learn
from unsee.runs.storage import Storage
from unsee.runs.store import Store
from unsee.runs.targets import ClassMap
from unsee.tuning import tuned

_DRAWN, _MOST_COLUMNS = 3, 12
_TRIAL = "experiment.json"
FIGURE, PICTURES = "figure.png", "pictures.png"
"""The files of a trial's figures; the second is there if the experiment has pictures to show, and
pictures-2.png, … if they do not fit into one."""
_WORDS = ("title", "asks", "paper_data", "needs", "shows")


class TakenError(UnseeError):
    """What is said where a folder holds something else than this trial."""


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
    setup: Setup
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
        place = Storage.at(self.out)
        self._see_if_free(place)
        with place.claimed():
            cast = self._cast(check)
            self._agree(place, cast)
            records = list(self._records(place, cast))
            if not records:
                raise UnseeError(f"no picture can serve {self.experiment.name}: it needs {self._needs(cast)}")
            summary = self._beside_paper(self.experiment.summary(records))
            summary = replace(summary, left_out={**summary.left_out, **self._left_out(cast, records)})
            for name, content in files_of(summary).items():
                place.write(name, content)
            draw_summary(summary, self.out / FIGURE)
            self._draw(cast, records)
        return summary

    def _needs(self, cast: Cast) -> str:
        if cast.seen_by_all(self._numbers):
            return self.experiment.needs
        return "pictures with a map of every method, and there are none (`unsee status` says why)"

    def _beside_paper(self, summary: Summary) -> Summary:
        """What was published stands beside data of its kind, and is compared with its own network's."""
        kind = str(description(self.setup.dataset).get("name", "")).partition(":")[0]
        if kind not in self.experiment.paper_data:
            return summary.without_paper()
        same = self.setup.classifiers[0].name == BVLC_GOOGLENET
        return summary if same else summary.of_another_network()

    def _left_out(self, cast: Cast, records: Sequence[Record]) -> dict[str, int]:
        """Why pictures have no record, and how many."""
        seen = cast.seen_by_all(self._numbers)
        reasons = {
            "pictures without a map of every method": len(self._numbers) - len(seen),
            f"others than {self.experiment.needs}": len(seen - {record["id"] for record in records}),
        }
        return {why: count for why, count in reasons.items() if count}

    def _cast(self, check: Callable[[], None]) -> Cast:
        """The sources of the experiment with their stores, which are made or taken up."""
        asks = self.experiment
        sources = asks.map_sources(self.setup) if isinstance(asks, OwnMaps) else of_methods(self.setup)
        given = {method_of(store): store for store in self.masks}
        unused = next((name for name in given if name not in {source.name for source in sources}), None)
        if unused is not None:
            raise UnseeError(
                f"{asks.name} makes maps of its own, not of {unused} as it is: leave --masks out"
            )
        stores = {
            source.name: fitting(given[source.name], source, self.class_map)
            for source in sources
            if source.name in given
        }
        for source in sources:
            if source.name not in stores:
                stores[source.name] = self._made(source, self.maps / _folder_name(source), check)
        return Cast(sources, stores, self.seed, self.class_map)

    def _made(self, source: MapSource, folder: Path, check: Callable[[], None]) -> Store:
        needs_map = self.class_map if source.target in ("label", "each") else None
        with run_progress(f"{source.name.replace('_', ' ')}:", check) as progress:
            return learn(
                source.classifier,
                source.dataset,
                folder,
                method=source.method,
                preset=source.preset,
                target=source.target,
                class_map=needs_map,
                seed=self.seed,
                limit=self.limit,
                progress=progress,
            )

    def _see_if_free(self, place: Storage) -> None:
        """See that nobody else's files would be written over.

        Raises:
            TakenError: the folder holds other things.
        """
        others = [name for name in place.others() if name != self.maps.name]
        if others and _TRIAL not in others:
            few = ", ".join(others[:3])
            raise TakenError(
                f"{self.out} holds other things ({few}): name a folder that is empty or not there"
            )

    def _agree(self, place: Storage, cast: Cast) -> None:
        """Keep what decides the records, or see that it has not changed.

        Raises:
            TakenError: the folder holds another experiment.
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
            raise TakenError(f"{self.out / _TRIAL} is damaged: name another folder") from None
        if changed := _changes(kept, wanted):
            raise TakenError(f"{self.out} holds {changed}: name another folder")

    @property
    def _numbers(self) -> range:
        count = len(self.setup.dataset)
        return range(min(count, self.limit or count))

    def _records(self, place: Storage, cast: Cast) -> Iterator[Record]:
        """The records of all pictures; those of an earlier run are read again."""
        network = tuned(self.setup.classifiers[0])
        with bar(transient=True) as progress:
            task = progress.add_task(self.experiment.name, total=len(self._numbers), note="")
            yield from records_of(
                place,
                cast,
                self._numbers,
                partial(self.experiment.records, network),
                lambda done: progress.update(task, completed=done),
            )

    def _draw(self, cast: Cast, records: Sequence[Record]) -> None:
        """The first pictures of an experiment that has some to show."""
        if not isinstance(self.experiment, OwnMaps):
            return
        file = self.out / PICTURES
        if self.experiment.shows is Picture.BOXES:
            draw_boxes([boxed(case, own) for case, own in self._first(cast, records)], file)
        elif self.experiment.shows is Picture.POINTS:
            draw_points([pointed(case) for case, _ in self._first(cast, records)], file)
        else:
            proofs = cast.proofs(self._numbers, _DRAWN)
            if all(proofs.values()):
                names = list(proofs)
                for first in range(0, len(names), _MOST_COLUMNS):
                    part = file.with_stem(f"{file.stem}-{first // _MOST_COLUMNS + 1}") if first else file
                    draw_maps({name: proofs[name] for name in names[first : first + _MOST_COLUMNS]}, part)

    def _first(self, cast: Cast, records: Sequence[Record]) -> list[tuple[Case, list[Record]]]:
        """The first pictures that have something to say, with what it is."""
        known = dict(list(by(records, "id").items())[:_DRAWN])
        dataset = self.setup.dataset
        numbers = [number for number in self._numbers if dataset.id(number) in known]
        cases = {case.sample.id: case for case in cast.cases(numbers)}
        return [(cases[name], own) for name, own in known.items()]


def _folder_name(source: MapSource) -> str:
    """Source and target, without what a file system may not like."""
    return "-".join(re.findall(r"[\w.]+", f"{source.name} {source.target}"))


def _changes(kept: Any, wanted: Any) -> str:  # noqa: ANN401
    """How what a folder holds differs from what is asked for, "" where it does not."""
    before, after = (own["experiment"]["name"] for own in (kept, wanted))
    if before != after:
        return f"the experiment {before}, not {after}"
    maps = [
        name
        for name in {**kept["maps"], **wanted["maps"]}
        if kept["maps"].get(name) != wanted["maps"].get(name)
    ]
    lines = differences(kept["experiment"], wanted["experiment"])
    lines += [f"other maps of {', '.join(maps)}"] if maps else []
    return f"another experiment ({'; '.join(lines)})" if lines else ""
