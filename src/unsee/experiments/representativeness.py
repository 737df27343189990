"""Representativeness of deleted regions (§5.2, fig. 7): simpler masks, other perturbations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from unsee.classifier import Classifier
from unsee.experiments.experiment import Case, Line, Plot, Record, Summary, Table, by, on_device
from unsee.experiments.scoring import scores_under
from unsee.masks.edits.perturbation import Blur, Constant, GaussianNoise, Perturbation
from unsee.metrics import binarised, mean_of, normalised

ALPHAS = tuple(round(0.05 * step, 2) for step in range(20))
_SHOWN = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Representativeness:
    """The normalised score under binary masks cut at each threshold, with each perturbation."""

    alphas: tuple[float, ...] = ALPHAS
    perturbations: tuple[Perturbation, ...] = (Constant(), GaussianNoise(), Blur())
    name: str = "representativeness"
    title: str = "Representativeness of deleted regions (§5.2, fig. 7)"
    asks: str = (
        "The mask is blurred again, cut at each threshold, and what lies under it is perturbed in three "
        "ways: a mask that says something holds for perturbations that it was not learned with."
    )
    paper_data: tuple[str, ...] = ()
    needs: str = "pictures with a map of every method"
    target: str = "predicted"

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each method, perturbation and threshold p'; None where p₀ - p_b is below 1e-6."""
        picture = on_device(classifier, case.network_input.plain)
        ends = torch.ones(2, *case.network_input.size).to(picture)
        ends[1] = 0
        blurred = on_device(classifier, Blur().references(case.network_input)[0])
        whole, gone = scores_under(classifier, picture, blurred, ends, case.target)
        for method in case.maps:
            cuts = binarised(1 - case.at_input(method), self.alphas).to(picture)
            for perturbation in self.perturbations:
                reference = on_device(classifier, perturbation.references(case.network_input)[0])
                scores = scores_under(classifier, picture, reference, cuts, case.target)
                shares = normalised(scores, whole, gone)
                for alpha, share in zip(self.alphas, shares.tolist(), strict=True):
                    yield {
                        "id": case.sample.id,
                        "method": method,
                        "perturbation": perturbation.name,
                        "alpha": alpha,
                        "normalised": share if share == share else None,  # noqa: PLR0124
                    }

    def summary(self, records: Sequence[Record]) -> Summary:
        """Mean p' over α; pictures whose score hardly falls when all is blurred are left out, and counted."""
        kept = [record for record in records if record["normalised"] is not None]
        lines: dict[str, dict[str, Line]] = {}
        rows = {}
        for method, own in by(kept, "method").items():
            for perturbation, some in by(own, "perturbation").items():
                found = {
                    alpha: mean_of([record["normalised"] for record in each])
                    for alpha, each in by(some, "alpha").items()
                }
                name = f"{method}, {perturbation}"
                lines.setdefault(perturbation, {})[method] = Line(tuple(found), tuple(found.values()))
                rows[name] = {f"α = {alpha:g}": found[alpha] for alpha in found if alpha in _SHOWN}
        table = Table("mean normalised score under binary masks", rows, better="low")
        plots = tuple(
            Plot(f"binary masks, {name}", "threshold α", "mean normalised score", own)
            for name, own in lines.items()
        )
        gone = {record["id"] for record in records if record["normalised"] is None}
        left_out = {"pictures whose score falls by less than 1e-6 when all is blurred": len(gone)}
        return Summary((table,), plots, left_out if gone else {})
