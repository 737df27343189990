"""Run an experiment: maps from stores, records image by image, and their summary."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, description
from unsee.datasets.selection import SAMPLE_SEED
from unsee.defaults import DEFAULT_PRESET, METHODS_SHOWN
from unsee.errors import UnseeError
from unsee.experiments.cases import StoredMaps
from unsee.experiments.catalogue import experiment_named
from unsee.experiments.drawn import draw_boxed, draw_map_columns, draw_pointed, draw_summary
from unsee.experiments.experiment import Case, Experiment, FirstImages, Record, Summary, by
from unsee.experiments.map_stores import check_store, stores_by_method
from unsee.experiments.maps import MapSource, Setup, insistent
from unsee.experiments.progress import ExperimentProgress, ImagesMeasured, MapsEvent, MapsStarted, ignore
from unsee.experiments.record_files import records_of
from unsee.experiments.result_folder import check_free, check_unchanged
from unsee.experiments.set_up import set_up
from unsee.experiments.tables import table_files
from unsee.methods import METHODS
from unsee.models.own import BVLC_GOOGLENET
from unsee.neutral import neutral
from unsee.runs.learn import learn
from unsee.runs.resume import Extent
from unsee.runs.storage import Storage
from unsee.runs.store import Store
from unsee.runs.targets import ClassMap, class_map_of
from unsee.tuning import tuned

FIGURE, PICTURES, MAPS = "figure.png", "pictures.png", "maps"
"""The figure; the first images, if the experiment shows them; and the folder of the stores."""
_DRAWN = 3


@dataclass(frozen=True, eq=False)
class ExperimentResult:
    """What an experiment has found.

    Args:
        name: the experiment.
        summary: its tables and plots.
        records: what was measured on each image, as JSON values.
        folder: where tables, figures, records and maps are.
    """

    name: str
    summary: Summary
    records: tuple[Record, ...]
    folder: Path


@neutral()
def run_experiment(
    experiment: str | Experiment,
    classifiers: Classifier | Sequence[Classifier],
    dataset: Dataset,
    *,
    methods: Sequence[str] = METHODS_SHOWN,
    masks: Sequence[Store | str | Path] = (),
    preset: str = DEFAULT_PRESET,
    layers: Sequence[str] = (),
    target: str | None = None,
    class_map: Mapping[str, int | Sequence[int]] | None = None,
    seed: int = 0,
    limit: int | None = None,
    sample: int | None = None,
    out: str | Path | None = None,
    maps: str | Path | None = None,
    progress: ExperimentProgress | None = None,
) -> ExperimentResult:
    """Run an experiment of the paper over a data set, and write its tables, figures, records and maps.

    The same call again does only what is missing; a larger `limit` or `sample` continues.

    Args:
        experiment: a name in `unsee.experiments.catalogue.EXPERIMENTS`, or an experiment of your own.
        classifiers: the network; several for experiments that compare networks.
        dataset: `unsee.open_dataset` opens one; any object with the methods of `Dataset` will do.
        methods: names of methods, "all", or "mask_top5": the mask of the five best classes with the λ1 and β
            of table 1.
        masks: stores of existing maps, or their addresses; their methods are compared too.
        preset: how masks are learned.
        layers: for a name whose experiment is about layers: those to mask; by default it chooses.
        target: as in `unsee.learn`; defaults to the experiment's.
        class_map: name of a label → the network's classes, if their names differ.
        seed: of random methods, of masks, of perturbations and of the sample.
        limit: only the first so many images.
        sample: only so many images, drawn at random with `seed`; all, if there are fewer.
        out: the folder of the results; defaults to experiments/NAME.
        maps: the folder of the stores, which experiments can share; defaults to `maps` in `out`.
        progress: called as the experiment goes on.

    Raises:
        UnseeError: no image is suitable, a name does not exist, a store does not fit, or the folder holds
            something else.
    """
    chosen = experiment_named(experiment, layers) if isinstance(experiment, str) else experiment
    stores, extent = stores_by_method(masks), Extent(limit, sample=sample)
    ordered = extent.ordered(dataset, seed)
    setup = set_up(chosen.about, classifiers, ordered, methods, stores, preset, target)
    folder = Path(out or Path("experiments") / chosen.about.name)
    places = (folder, Path(maps or folder / MAPS))
    return _Run(
        chosen, setup, class_map_of(class_map), stores, seed, extent.most, *places, progress or ignore
    ).result()


@dataclass(frozen=True, eq=False)
class _Run:
    """An experiment, what it runs on, and where its results go.

    Args:
        experiment: the experiment.
        setup: networks, images, methods, preset and target.
        class_map: name of a label → the network's classes.
        stores: method → store of existing maps.
        seed: of random methods, of masks and of perturbations.
        limit: only the first so many images.
        out: the folder of records, tables and figures.
        maps: the folder of the stores to make.
        progress: called as the experiment goes on.
    """

    experiment: Experiment
    setup: Setup
    class_map: ClassMap | None
    stores: Mapping[str, Store]
    seed: int
    limit: int | None
    out: Path
    maps: Path
    progress: ExperimentProgress

    def result(self) -> ExperimentResult:
        """Do what is missing, and write tables and figures.

        Raises:
            UnseeError: no image is suitable, a store does not fit, or the folder holds something else.
        """
        name, storage = self.experiment.about.name, Storage.at(self.out)
        check_free(self.out, storage, self.maps.name)
        with storage.claimed():
            stored = self._stored_maps()
            check_unchanged(self.out, storage, self.experiment, stored.stores, self._sample)
            records = list(self._records(storage, stored))
            if not records:
                raise UnseeError(f"no image is suitable for {name}: it needs {self._needs(stored)}")
            summary = self._with_paper(self.experiment.summary(records))
            left_out = {**summary.left_out, **self._left_out(stored, records)}
            summary = replace(summary, left_out=left_out, masks=stored.masks(self._numbers))
            for file, content in table_files(summary).items():
                storage.write(file, content)
            draw_summary(summary, self.out / FIGURE)
            self._draw_first(stored, records)
        return ExperimentResult(name, summary, tuple(records), self.out)

    def _needs(self, stored: StoredMaps) -> str:
        if stored.complete(self._numbers):
            return self.experiment.about.needs
        return "images with a map of every method, learned masks converged; `unsee status` says why not"

    def _with_paper(self, summary: Summary) -> Summary:
        """Published numbers only for the paper's kind of data, and compared only for the paper's network."""
        kind = str(description(self.setup.dataset).get("name", "")).partition(":")[0]
        if kind not in self.experiment.about.paper_data:
            return summary.without_paper()
        same = self.setup.classifiers[0].name == BVLC_GOOGLENET
        return summary if same else summary.of_another_network()

    def _left_out(self, stored: StoredMaps, records: Sequence[Record]) -> dict[str, int]:
        """Why images have no record, and how many."""
        complete = stored.complete(self._numbers)
        failed = stored.unconverged(self._numbers)
        reasons = {
            "images with a mask that did not converge": len(failed),
            "images without a map of every method": len(self._numbers) - len(complete) - len(failed),
            f"images other than {self.experiment.about.needs}": len(
                complete - {record["id"] for record in records}
            ),
        }
        return {why: count for why, count in reasons.items() if count}

    def _stored_maps(self) -> StoredMaps:
        """The experiment's map sources with their stores, which are made or completed.

        Raises:
            UnseeError: a method cannot serve its network; nothing has been computed then.
        """
        sources = self.experiment.map_sources(self.setup)
        stores = {
            source.name: check_store(self.stores[source.name], source, self.class_map)
            for source in sources
            if source.name in self.stores
        }
        missing = [source for source in sources if source.name not in stores]
        for source in missing:
            METHODS[source.method].check_network(source.classifier)
        for source in missing:
            stores[source.name] = self._made(source)
        return StoredMaps(sources, stores, self.seed, self.class_map)

    def _made(self, source: MapSource) -> Store:
        self.progress(MapsStarted(source.name))
        return learn(
            source.classifier,
            source.dataset,
            self.maps / _folder_name(source),
            method=source.method,
            preset=insistent(source.preset),
            target=source.target,
            class_map=self.class_map if source.target in ("label", "each") else None,
            seed=self.seed,
            limit=self.limit,
            progress=lambda event: self.progress(MapsEvent(source.name, event)),
        )

    @property
    def _numbers(self) -> range:
        count = len(self.setup.dataset)
        return range(min(count, self.limit or count))

    @property
    def _sample(self) -> dict[str, int] | None:
        """The number of images and the seed, if the images are a sample."""
        seed = description(self.setup.dataset).get(SAMPLE_SEED)
        return None if seed is None else {"n": len(self._numbers), "seed": seed}

    def _records(self, storage: Storage, stored: StoredMaps) -> Iterator[Record]:
        """The records of all images; those of an earlier run are read again."""
        name, total = self.experiment.about.name, len(self._numbers)
        measure = partial(self.experiment.records, tuned(self.setup.classifiers[0]))
        self.progress(ImagesMeasured(name, 0, total))
        yield from records_of(
            storage,
            stored,
            self._numbers,
            measure,
            lambda done: self.progress(ImagesMeasured(name, done, total)),
        )

    def _draw_first(self, stored: StoredMaps, records: Sequence[Record]) -> None:
        """Draw the first images, if the experiment shows them."""
        file, shows = self.out / PICTURES, self.experiment.about.shows
        if shows is FirstImages.BOXES:
            draw_boxed(self._first(stored, records), file)
        elif shows is FirstImages.POINTS:
            draw_pointed([case for case, _ in self._first(stored, records)], file)
        elif shows is FirstImages.MAPS:
            rendered = stored.rendered(self._numbers, _DRAWN)
            if all(rendered.values()):
                draw_map_columns(rendered, file)

    def _first(self, stored: StoredMaps, records: Sequence[Record]) -> list[tuple[Case, list[Record]]]:
        """The first images that have records, with their records."""
        known = dict(list(by(records, "id").items())[:_DRAWN])
        dataset = self.setup.dataset
        numbers = [number for number in self._numbers if dataset.id(number) in known]
        cases = {case.sample.id: case for case in stored.cases(numbers)}
        return [(cases[name], own) for name, own in known.items()]


def _folder_name(source: MapSource) -> str:
    """The name and target of a source, reduced to characters that every file system allows."""
    return "-".join(re.findall(r"[\w.]+", f"{source.name} {source.target}"))
