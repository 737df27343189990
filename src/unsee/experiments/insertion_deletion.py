"""Insertion and deletion curves (Petsiuk et al. 2018, RISE, §4.2), for comparison with newer work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unsee.classifier import Classifier
from unsee.experiments.experiment import Case, Line, Plot, Record, Summary, Table, by
from unsee.metrics import Estimate, deletion, insertion, mean_of

_GAMES = {"deletion": deletion, "insertion": insertion}


@dataclass(frozen=True)
class InsertionDeletion:
    """The area under the score while pixels are taken away or put back, the most salient first.

    Args:
        steps: in which the pixels are exchanged.
    """

    steps: int = 28
    name: str = "insertion-deletion"
    title: str = "Insertion and deletion (RISE, for comparison with §5.3)"
    asks: str = (
        "Pixels are taken away, the most salient first, or put back into a blurred picture; the area under "
        "the score tells how soon it changes: low is good for deletion, high for insertion."
    )
    paper_data: tuple[str, ...] = ()
    needs: str = "pictures with a map of every method"
    target: str = "label"

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each method and game the scores along the curve, and the area under it."""
        picture = case.network_input.plain[None].float()
        for method, saliency in case.maps.items():
            for game, curve_of in _GAMES.items():
                curve = curve_of(classifier, picture, saliency[None].float(), [case.target], self.steps)
                yield {
                    "id": case.sample.id,
                    "method": method,
                    "game": game,
                    "shares": curve.shares.tolist(),
                    "scores": curve.scores[0].tolist(),
                    "area": float(curve.area[0]),
                }

    def summary(self, records: Sequence[Record]) -> Summary:
        """Mean areas, and mean scores along the curves."""
        rows: dict[str, dict[str, Estimate]] = {}
        lines: dict[str, dict[str, Line]] = {game: {} for game in _GAMES}
        for method, own in by(records, "method").items():
            for game, some in by(own, "game").items():
                rows.setdefault(method, {})[game] = mean_of([record["area"] for record in some])
                columns = zip(*(record["scores"] for record in some), strict=True)
                lines[game][method] = Line(tuple(some[0]["shares"]), tuple(map(mean_of, map(list, columns))))
        plots = tuple(Plot(game, "share of the pixels", "mean score", lines[game]) for game in _GAMES)
        return Summary((Table("area under the curve", rows),), plots)
