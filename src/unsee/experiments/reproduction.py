"""Run every experiment on shared maps, and write one page of their results."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.datasets.dataset import Dataset, description
from unsee.defaults import DEFAULT_PRESET, FEW_REPRODUCED, IMAGES_REPRODUCED, METHODS_REPRODUCED
from unsee.errors import UnseeError
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import About, Experiment, Summary
from unsee.experiments.map_stores import chosen_methods
from unsee.experiments.maps import MASK
from unsee.experiments.progress import ExperimentProgress, ExperimentStarted, ignore
from unsee.experiments.reproduction_page import Chapter, reproduction_page
from unsee.experiments.result_folder import FolderTakenError, refuse_other_files
from unsee.experiments.runner import MAPS, run_experiment
from unsee.experiments.set_up import networks_of
from unsee.masks import PRESETS
from unsee.masks.explain import versions
from unsee.neutral import neutral
from unsee.runs.resume import Extent
from unsee.runs.storage import Storage
from unsee.words import counted

PAGE = "index.html"
_PICTURES = "pictures*.png"


@dataclass(frozen=True, eq=False)
class ReproductionResult:
    """The results of all experiments.

    Args:
        summaries: experiment → its tables and plots.
        problems: experiment → why it could not be run on the data.
        page: the HTML page.
    """

    summaries: Mapping[str, Summary]
    problems: Mapping[str, str]
    page: Path


@neutral()
def reproduce(
    classifiers: Classifier | Sequence[Classifier],
    dataset: Dataset,
    *,
    methods: Sequence[str] = METHODS_REPRODUCED,
    preset: str = DEFAULT_PRESET,
    class_map: Mapping[str, int | Sequence[int]] | None = None,
    seed: int = 0,
    limit: int | None = None,
    sample: int | None = None,
    few: int = FEW_REPRODUCED,
    out: str | Path = "reproduction",
    weights: Sequence[str | Path] = (),
    options: Sequence[str] = (),
    progress: ExperimentProgress | None = None,
) -> ReproductionResult:
    """Run every experiment of the paper, and write one page: our numbers next to the paper's, with figures.

    The same call again does only what is missing. An experiment that the data do not suit is left out, and
    the page says why.

    Args:
        classifiers: the network; further ones are for experiments that compare networks.
        dataset: the images; `unsee.open_dataset` opens them.
        methods: names of methods, or "all".
        preset: how masks are learned.
        class_map: name of a label → the network's classes, if their names differ.
        seed: of random methods, of masks, of perturbations and of the sample.
        limit: only the first so many images; 48 unless there is a sample.
        sample: only so many images, drawn at random with `seed`; all, if there are fewer.
        few: the limit, or sample, of experiments that learn many masks per image.
        out: the folder of the page, and of all results.
        weights: the networks' weight files, for the commands that the page prints.
        options: further options of these commands.
        progress: called as the experiments go on.

    Raises:
        UnseeError: no experiment could be run, a name does not exist, or the folder holds something else.
    """
    look_up(PRESETS, preset, "preset")
    whole = _Reproduction(
        networks_of(classifiers),
        dataset,
        chosen_methods(methods, {}),
        preset,
        class_map,
        seed,
        sample is not None,
        (Extent(limit, sample=sample).most or IMAGES_REPRODUCED, few),
        Path(out),
        weights,
        options,
        progress or ignore,
    )
    return whole.claimed_result()


@dataclass(frozen=True, eq=False)
class _Reproduction:
    """The arguments of `reproduce`.

    `limits` are those of most experiments, and of costly ones; `sampled` says whether they are samples.
    """

    networks: tuple[Classifier, ...]
    dataset: Dataset
    methods: tuple[str, ...]
    preset: str
    class_map: Mapping[str, int | Sequence[int]] | None
    seed: int
    sampled: bool
    limits: tuple[int, int]
    out: Path
    weights: Sequence[str | Path]
    options: Sequence[str]
    progress: ExperimentProgress

    def claimed_result(self) -> ReproductionResult:
        """Run all experiments, and write the page, unless the folder holds something else or is in use."""
        storage = Storage.at(self.out)
        others = storage.others()
        if others and MAPS not in others:
            refuse_other_files(self.out, others)
        with storage.claimed():
            return self._result(storage)

    def _result(self, storage: Storage) -> ReproductionResult:
        chapters, summaries, problems = [], {}, {}
        for number, (name, experiment) in enumerate(EXPERIMENTS.items(), start=1):
            self.progress(ExperimentStarted(number, len(EXPERIMENTS), experiment.about.title))
            try:
                summaries[name] = self._run(experiment)
            except FolderTakenError:
                raise
            except UnseeError as error:
                problems[name] = str(error)
            chapters.append(self._chapter(experiment.about, summaries.get(name), problems.get(name, "")))
        if not summaries:
            raise UnseeError(f"no experiment could be run; the first: {next(iter(problems.values()))}")
        text = reproduction_page(chapters, "unsee: the paper's experiments", self._lead(), self._footer())
        storage.write(PAGE, text.encode())
        return ReproductionResult(summaries, problems, self.out / PAGE)

    def _run(self, experiment: Experiment) -> Summary:
        about = experiment.about
        found = run_experiment(
            experiment,
            self.networks if about.several_networks else self.networks[0],
            self.dataset,
            methods=self._methods(about),
            preset=self.preset,
            class_map=self.class_map,
            seed=self.seed,
            limit=None if self.sampled else self._limit(about),
            sample=self._limit(about) if self.sampled else None,
            out=self.out / about.name,
            maps=self.out / MAPS,
            progress=self.progress,
        )
        return found.summary

    def _limit(self, about: About) -> int:
        return self.limits[1] if about.costly else self.limits[0]

    def _methods(self, about: About) -> tuple[str, ...]:
        added = about.methods_added if MASK in self.methods else ()
        return tuple(dict.fromkeys((*self.methods, *added)))

    def _chapter(self, about: About, summary: Summary | None, problem: str) -> Chapter:
        files = sorted((self.out / about.name).glob(_PICTURES)) if summary is not None else []
        pictures = [file.read_bytes() for file in files]
        return Chapter(about.title, about.asks, self._command(about), summary, problem, pictures)

    def _command(self, about: About) -> str:
        """The command that runs one experiment as it was run here."""
        data = description(self.dataset)
        words = ["unsee", "experiment", about.name, "--data", str(data["name"])]
        words += ["--split", str(data["split"])] if data.get("split") else []
        words += ["--classes", ",".join(data["classes"])] if data.get("classes") else []
        for number, network in enumerate(self.networks if about.several_networks else self.networks[:1]):
            words += ["--model", network.name]
            words += ["--weights", str(self.weights[number])] if self.weights else []
        words += ["--sample" if self.sampled else "--limit", str(self._limit(about))]
        words += ["--methods", ",".join(self._methods(about))]
        words += ["--seed", str(self.seed)] if self.seed else []
        return shlex.join([*words, "--preset", self.preset, *self.options, "--out", about.name])

    def _lead(self) -> str:
        network, data = self.networks[0].name, description(self.dataset)["name"]
        images = "the first image" if self.limits[0] == 1 else f"the first {self.limits[0]} images"
        if self.sampled:
            images = f"{counted(self.limits[0], 'image')}, drawn at random with seed {self.seed}"
        return (
            f"The experiments of Fong & Vedaldi 2017 with {network} on {data}: {images}, "
            f"{self.limits[1]} for experiments that learn many masks per image. Localisation and "
            "pointing also have the mask with the weights of tables 1 and 2, mask top5. Brackets hold 95 % "
            "intervals. The paper's numbers are next to ours if the data are the paper's. Their distance is "
            "given in our standard errors; above three of them the numbers differ."
        )

    def _footer(self) -> str:
        known = ", ".join(f"{name} {number}" for name, number in versions().items())
        return f"{known}; seed {self.seed}"
