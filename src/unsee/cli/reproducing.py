"""One run of `unsee reproduce`: a trial for each experiment, on shared maps, and the page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unsee.classifier import Classifier
from unsee.cli.console import CONSOLE
from unsee.cli.experimenting import PICTURES, Trial
from unsee.datasets.selection import Selection
from unsee.errors import UnseeError
from unsee.experiments.catalogue import EXPERIMENTS
from unsee.experiments.experiment import Experiment, Summary
from unsee.experiments.looks import Stage
from unsee.figures.reproduction import Part, reproduction_page
from unsee.masks.explain import versions
from unsee.runs.place import Place
from unsee.runs.targets import ClassMap

PAGE = "index.html"
_DEAR = ("adversarial", "thresholds-sensitivity")


@dataclass(frozen=True, eq=False)
class Reproduction:
    """All experiments, what they are done with, and where the report goes.

    Args:
        classifiers: the first is asked; further ones are for `architectures`.
        limits: how many pictures, and how many for experiments that learn many masks of each.
    """

    classifiers: tuple[Classifier, ...]
    dataset: Selection
    methods: tuple[str, ...]
    preset: str
    class_map: ClassMap | None
    seed: int
    limits: tuple[int, int]
    out: Path

    def run(self, check: Callable[[], None]) -> tuple[Path, Mapping[str, str]]:
        """Do what is missing and write the page; gives its path, and why experiments were left out.

        Raises:
            UnseeError: none could be done.
        """
        parts, problems = [], {}
        for number, (name, experiment) in enumerate(EXPERIMENTS.items(), start=1):
            CONSOLE.print(f"{number} of {len(EXPERIMENTS)}: {experiment.title}")
            summary = None
            try:
                summary = self._trial(name, experiment).run(check)
            except UnseeError as error:
                problems[name] = str(error)
            parts.append(self._part(name, experiment, summary, problems.get(name, "")))
        if len(problems) == len(EXPERIMENTS):
            raise UnseeError(f"no experiment could be done; the first: {next(iter(problems.values()))}")
        text = reproduction_page(parts, "unsee: the paper's experiments", self._lead(), self._footer())
        Place.at(self.out).write(PAGE, text.encode())
        return self.out / PAGE, problems

    def _limit(self, name: str) -> int:
        return self.limits[1] if name in _DEAR else self.limits[0]

    def _trial(self, name: str, experiment: Experiment) -> Trial:
        stage = Stage(self.classifiers, self.dataset, self.methods, self.preset, experiment.target)
        maps, limit = self.out / "maps", self._limit(name)
        return Trial(experiment, stage, self.class_map, (), self.seed, limit, self.out / name, maps)

    def _part(self, name: str, experiment: Experiment, summary: Summary | None, problem: str) -> Part:
        file = self.out / name / PICTURES
        pictures = [file.read_bytes()] if summary is not None and file.is_file() else []
        data = self.dataset.described
        command = (
            f"unsee experiment {name} --data {data['name']}"
            + (f" --split {data['split']}" if data["split"] else "")
            + (f" --classes {','.join(data['classes'])}" if data["classes"] else "")
            + f" --limit {self._limit(name)} --model {self.classifiers[0].name}"
            + f" --methods {','.join(self.methods)} --preset {self.preset}"
        )
        return Part(experiment.title, experiment.asks, command, summary, problem, pictures)

    def _lead(self) -> str:
        network, data = self.classifiers[0].name, self.dataset.described["name"]
        return (
            f"Fong & Vedaldi 2017, experiment by experiment, with {network} on {data}: the first "
            f"{self.limits[0]} pictures, {self.limits[1]} where many masks of each are learned. In brackets "
            "stand 95 % intervals. The paper's numbers stand beside ours where the data are the paper's; "
            "then the distance is given in our standard errors, and said to differ above three of them."
        )

    def _footer(self) -> str:
        known = ", ".join(f"{name} {number}" for name, number in versions().items())
        return f"{known}; seed {self.seed}"
