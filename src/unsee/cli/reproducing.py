"""One run of `unsee reproduce`: a trial for each experiment, on shared maps, and the page."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unsee.classifier import Classifier
from unsee.cli.console import CONSOLE
from unsee.cli.experimenting import TakenError, Trial
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import Experiment, Summary
from unsee.experiments.maps import MASK, MASK_TOP5, Setup
from unsee.figures.reproduction import Part, reproduction_page
from unsee.masks.explain import versions
from unsee.runs.storage import Storage
from unsee.runs.targets import ClassMap

PAGE = "index.html"
_DEAR, _TABLES, _SEVERAL = (
    ("adversarial", "thresholds-sensitivity"),
    ("localisation", "pointing"),
    "architectures",
)
_PICTURES, _MAPS = "pictures*.png", "maps"


@dataclass(frozen=True, eq=False)
class Reproduction:
    """All experiments, what they are done with, and where the report goes.

    Args:
        classifiers: the first is asked; further ones are for `architectures`.
        limits: how many pictures, and how many for experiments that learn many masks of each.
        weights: a weight file for each network, or none at all.
        others: further options of the command, for whoever repeats one experiment.
    """

    classifiers: tuple[Classifier, ...]
    dataset: Selection
    methods: tuple[str, ...]
    preset: str
    class_map: ClassMap | None
    seed: int
    limits: tuple[int, int]
    out: Path
    weights: Sequence[Path] = ()
    others: Sequence[str] = ()

    def run(self, check: Callable[[], None]) -> tuple[Path, Mapping[str, str]]:
        """Do what is missing and write the page; gives its path, and why experiments were left out.

        Raises:
            UnseeError: none could be done, or the folder holds other things or another reproduction.
        """
        place = Storage.at(self.out)
        others = place.others()
        if others and _MAPS not in others:
            few = ", ".join(others[:3])
            raise TakenError(
                f"{self.out} holds other things ({few}): name a folder that is empty or not there"
            )
        with place.claimed():
            return self._run(check)

    def _run(self, check: Callable[[], None]) -> tuple[Path, Mapping[str, str]]:
        parts, problems = [], {}
        for number, (name, experiment) in enumerate(EXPERIMENTS.items(), start=1):
            CONSOLE.print(f"{number} of {len(EXPERIMENTS)}: {experiment.title}")
            summary = None
            try:
                summary = self._trial(name, experiment).run(check)
            except TakenError:
                raise
            except UnseeError as error:
                problems[name] = str(error)
            parts.append(self._part(name, experiment, summary, problems.get(name, "")))
        if len(problems) == len(EXPERIMENTS):
            raise UnseeError(f"no experiment could be done; the first: {next(iter(problems.values()))}")
        text = reproduction_page(parts, "unsee: the paper's experiments", self._lead(), self._footer())
        Storage.at(self.out).write(PAGE, text.encode())
        return self.out / PAGE, problems

    def _limit(self, name: str) -> int:
        return self.limits[1] if name in _DEAR else self.limits[0]

    def _methods(self, name: str) -> tuple[str, ...]:
        """The methods, and the mask as tables 1 and 2 have it where it is theirs."""
        both = (*self.methods, MASK_TOP5) if name in _TABLES and MASK in self.methods else self.methods
        return tuple(dict.fromkeys(both))

    def _trial(self, name: str, experiment: Experiment) -> Trial:
        setup = Setup(self.classifiers, self.dataset, self._methods(name), self.preset, experiment.target)
        maps, limit = self.out / _MAPS, self._limit(name)
        return Trial(experiment, setup, self.class_map, (), self.seed, limit, self.out / name, maps)

    def _part(self, name: str, experiment: Experiment, summary: Summary | None, problem: str) -> Part:
        files = sorted((self.out / name).glob(_PICTURES)) if summary is not None else []
        pictures = [file.read_bytes() for file in files]
        return Part(experiment.title, experiment.asks, self._alone(name), summary, problem, pictures)

    def _alone(self, name: str) -> str:
        """The command that does one experiment as it was done here."""
        data, asked = self.dataset.described, len(self.classifiers) if name == _SEVERAL else 1
        words = ["unsee", "experiment", name, "--data", data["name"]]
        words += ["--split", data["split"]] if data["split"] else []
        words += ["--classes", ",".join(data["classes"])] if data["classes"] else []
        for number, network in enumerate(self.classifiers[:asked]):
            words += ["--model", network.name]
            words += ["--weights", str(self.weights[number])] if self.weights else []
        words += ["--limit", str(self._limit(name)), "--methods", ",".join(self._methods(name))]
        return shlex.join([*words, "--preset", self.preset, *self.others, "--out", name])

    def _lead(self) -> str:
        network, data = self.classifiers[0].name, self.dataset.described["name"]
        return (
            f"Fong & Vedaldi 2017, experiment by experiment, with {network} on {data}: the first "
            f"{self.limits[0]} pictures, {self.limits[1]} where many masks of each are learned. Localisation "
            "and pointing have the mask with the weights of tables 1 and 2 as well, mask top5. In brackets "
            "stand 95 % intervals. The paper's numbers stand beside ours where the data are the paper's; "
            "then the distance is given in our standard errors, and said to differ above three of them."
        )

    def _footer(self) -> str:
        known = ", ".join(f"{name} {number}" for name, number in versions().items())
        return f"{known}; seed {self.seed}"
