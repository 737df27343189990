"""One run of `unsee experiment`: maps from stores, records picture by picture, and what they come to."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from unsee.classifier import Classifier
from unsee.cli.console import plain
from unsee.cli.learning import watched
from unsee.cli.progress import bar
from unsee.datasets.dataset import Dataset
from unsee.datasets.picture import photo_of
from unsee.errors import UnseeError
from unsee.experiments.experiment import Case, Experiment, Record, Summary
from unsee.explanation import finite
from unsee.figures.experiment import draw_summary
from unsee.images import Squash
from unsee.masks.frame import Frame
from unsee.masks.settings import described
from unsee.metrics import Estimate
from unsee.runs.learn import MASK, learn
from unsee.runs.place import Place
from unsee.runs.run import differences
from unsee.runs.store import Store

_AT_ONCE = 32
_RECORDS, _TRIAL = "records-{:06d}.json", "experiment.json"


@dataclass(frozen=True, eq=False)
class Trial:
    """An experiment, what it is done with, and where its results go.

    Args:
        masks: a store of learned masks that are there already.
        class_map: label's name → the classifier's classes.
    """

    experiment: Experiment
    classifier: Classifier
    dataset: Dataset
    data: Mapping[str, Any]
    methods: tuple[str, ...]
    preset: str
    target: str
    class_map: Mapping[str, Sequence[int]] | None
    masks: str | None
    seed: int
    limit: int | None
    out: Path

    def run(self) -> Summary:
        """Do what is missing, write tables and figure, and return what they say."""
        place = Place.at(self.out)
        with place.claimed():
            stores = self._stores()
            self._agree(place, stores)
            records = list(self._records(place, stores))
        if not records:
            raise UnseeError(f"no picture of the data set can serve {self.experiment.name}: see its docs")
        summary = self.experiment.summary(records)
        rows = table_rows(summary)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        place.write("table.csv", text.getvalue().encode())
        kept = {"tables": rows, "left_out": dict(summary.left_out)}
        place.write("table.json", json.dumps(finite(kept), indent=1, ensure_ascii=False).encode())
        draw_summary(summary, self.out / "figure.png")
        return summary

    def _stores(self) -> dict[str, Store]:
        """A store of maps for each method, made or taken up."""
        found = {}
        for method in self.methods:
            if method == MASK and self.masks is not None:
                found[method] = self._given(Store.open(self.masks))
                continue
            with watched(f"{method.replace('_', ' ')}:") as progress:
                found[method] = learn(
                    self.classifier,
                    self.dataset,
                    self.out / "maps" / method,
                    method=method,
                    preset=self.preset,
                    target=self.target,
                    class_map=self.class_map,
                    seed=self.seed,
                    limit=self.limit,
                    data=self.data,
                    progress=progress,
                )
        return found

    def _given(self, store: Store) -> Store:
        settings = store.manifest["settings"]
        wanted = {
            "model": self.classifier.name,
            "weights_sha256": self.classifier.weights_sha256,
            "method": MASK,
            "target": self.target,
        }
        changed = differences({key: settings[key] for key in wanted}, wanted)
        if changed:
            raise UnseeError(f"the masks in {self.masks} do not serve here ({'; '.join(changed)})")
        return store

    def _agree(self, place: Place, stores: Mapping[str, Store]) -> None:
        """Keep what decides the records, or see that it has not changed.

        Raises:
            UnseeError: the folder holds another experiment.
        """
        wanted = {
            "experiment": described(self.experiment),
            "maps": {name: store.manifest["settings_hash"] for name, store in stores.items()},
        }
        wanted = json.loads(json.dumps(wanted))
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

    def _records(self, place: Place, stores: Mapping[str, Store]) -> Iterator[Record]:
        """The records of all pictures; those of an earlier run are read again."""
        count = min(len(self.dataset), self.limit or len(self.dataset))
        known = set(place.names())
        with bar(transient=True) as progress:
            task = progress.add_task(self.experiment.name, total=count, note="")
            for first in range(0, count, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, count))
                name = _RECORDS.format(first)
                if len(numbers) == _AT_ONCE and name in known:
                    yield from json.loads(place.read(name))
                else:
                    found = [r for case in self._cases(stores, numbers) for r in self._of(case)]
                    place.write(name, json.dumps(finite(found)).encode())
                    yield from found
                progress.update(task, completed=numbers.stop)

    def _of(self, case: Case) -> Iterator[Record]:
        yield from self.experiment.records(self.classifier, case)

    def _cases(self, stores: Mapping[str, Store], numbers: Sequence[int]) -> Iterator[Case]:
        """Pictures with the maps that every method has made of them."""
        ids = {self.dataset.id(number): number for number in numbers}
        maps: dict[tuple[str, str], dict[str, Any]] = {}
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for method, store in stores.items():
            for row in store.rows(list(ids)):
                if row["error"] is None:
                    key = row["id"], row["asked"]
                    rows[key] = row
                    maps.setdefault(key, {})[method] = torch.from_numpy(store.saliency(row))
        for key, own in sorted(maps.items(), key=lambda item: ids[item[0][0]]):
            if len(own) < len(stores):
                continue
            sample = self.dataset[ids[key[0]]]
            size, color = self.classifier.size, self.classifier.color
            frame = Frame(photo_of(sample), size, 0, Squash(), color, self.seed, self.classifier.dtype)
            row = rows[key]
            yield Case(sample, frame, tuple(row["target"]), row["label"], own)


def table_rows(summary: Summary) -> list[dict[str, Any]]:
    """Every number of the tables, a row each."""
    return [
        {
            "table": table.title,
            "row": row,
            "column": column,
            **asdict(estimate),
            "paper": table.paper.get(row, {}).get(column),
        }
        for table in summary.tables
        for row, cells in table.rows.items()
        for column, estimate in cells.items()
    ]


def tables_of(summary: Summary) -> list[Table]:
    """The tables for people: value ± standard error, and the paper's number in brackets."""
    found = []
    for each in summary.tables:
        table = Table("", *each.columns, title=each.title)
        for name, cells in each.rows.items():
            paper = each.paper.get(name, {})
            table.add_row(plain(name), *(_cell(cells.get(c), paper.get(c)) for c in each.columns))
        found.append(table)
    if found and summary.left_out:
        lines = (f"{count} left out: {why}" for why, count in summary.left_out.items())
        found[-1].caption = plain("\n".join(lines))
    return found


def _cell(estimate: Estimate | None, paper: float | int | None) -> str:
    if estimate is None:
        return "–"
    text = f"{estimate.value:.4g}"
    if estimate.n:
        text += f" ± {estimate.standard_error:.2g}"
    return text if paper is None else f"{text} \\[{paper:g}]"
