"""Representativeness of deleted regions (§5.2, fig. 7): simpler masks, other perturbations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from unsee.classifier import Classifier
from unsee.experiments.experiment import About, Case, Line, Plot, Record, Summary, Table, by, on_device
from unsee.experiments.maps import MapSource, Setup, of_methods
from unsee.experiments.masked_scores import scores_under
from unsee.masks.edits.perturbation import Blur, Constant, GaussianNoise
from unsee.metrics import binarised, mean_of, normalised

ALPHAS = tuple(round(0.05 * step, 2) for step in range(20))
_SHOWN = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Representativeness:
    """The normalised score under masks binarised at each threshold, with each perturbation."""

    alphas: tuple[float, ...] = ALPHAS
    perturbations: tuple[Constant | GaussianNoise | Blur, ...] = (Constant(), GaussianNoise(), Blur())
    about: ClassVar[About] = About(
        name="representativeness",
        title="Representativeness of deleted regions (§5.2, fig. 7)",
        asks=(
            "The mask is blurred again and binarised at each threshold, and the deleted region is perturbed "
            "in three ways: a representative mask works with perturbations that it was not learned with."
        ),
        needs="images with a map of every method",
        target="predicted",
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """One for each method."""
        return of_methods(setup)

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """p' for each method, perturbation and threshold; None if p₀ - p_b is below 1e-6."""
        image = on_device(classifier, case.network_input.plain)
        ends = torch.ones(2, *case.network_input.size).to(image)
        ends[1] = 0
        blurred = on_device(classifier, Blur().references(case.network_input)[0])
        whole, gone = scores_under(classifier, image, blurred, ends, case.target)
        for method in case.maps:
            cuts = binarised(1 - case.at_input(method), self.alphas).to(image)
            for perturbation in self.perturbations:
                reference = on_device(classifier, perturbation.references(case.network_input)[0])
                scores = scores_under(classifier, image, reference, cuts, case.target)
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
        """Mean p' over α; images whose score hardly falls under full blur are left out, and counted."""
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
        left_out = {"images whose score falls by less than 1e-6 if all of the image is blurred": len(gone)}
        return Summary((table,), plots, left_out if gone else {})
