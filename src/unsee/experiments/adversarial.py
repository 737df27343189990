"""Adversarial defence (§5.5, fig. 10): heatmaps tell attacked pictures, and masks undo the attack."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.experiments.attack import EPSILON, Adversarial
from unsee.experiments.detector import SIDE, told_apart
from unsee.experiments.experiment import Case, Record, Summary, Table, by, on_device
from unsee.experiments.maps import MapSource, Picture, Setup, heat_of
from unsee.masks.edits.perturbation import Blur, blend
from unsee.masks.network_input import NetworkInput
from unsee.metrics import Estimate, proportion

CLEAN, CHANGED = "clean", "attacked"
_DETECTED = "told apart by heatmap, %"
_CLEAN, _TRUE, _FIVE = "clean label recovered, %", "true label recovered, %", "clean label in top 5, %"
PAPER = {"mask": {_DETECTED: 93.6, _CLEAN: 40.64, _TRUE: 37.32, _FIVE: 100.0}}
"""§5.5: 5,000 training pictures, of which 1,000 test the detector, AlexNet; GoogLeNet's masks."""
_CASES = ", "


@dataclass(frozen=True)
class AdversarialDefence:
    """A detector on the heatmaps of clean and attacked pictures, and the answers under those of the latter.

    Args:
        epsilon: the largest change of a pixel's value, in (0,1).
        attack_steps: of the attack.
    """

    epsilon: float = EPSILON
    attack_steps: int = 10
    name: str = "adversarial"
    title: str = "Adversarial defence (§5.5, fig. 10)"
    asks: str = (
        "Ten steps, by at most 8/255 in all, take pictures away from their best class. Of those that get "
        "another one, heatmaps of the best class before and after are told apart by a detector on held-out "
        "pictures; blurring what the heatmap of the attacked picture marks may bring the label back. Masks "
        "are applied as they are, other maps are stretched to [0,1]."
    )
    paper_data: tuple[str, ...] = ("imagenet",)
    needs: str = "pictures whose best class an attack can change"
    target: str = "top1"
    shows: Picture = Picture.MAPS

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """Every method, on the clean pictures and on the attacked ones."""
        network = setup.classifiers[0]
        changed = Adversarial(setup.dataset, network, self.epsilon, self.attack_steps)
        return [
            MapSource(f"{method}{_CASES}{what}", method, pictures, network, setup.preset, self.target)
            for method in setup.methods
            for what, pictures in ((CLEAN, setup.dataset), (CHANGED, changed))
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each method both heatmaps, small, and what the network says under that of the attacked one."""
        for method in dict.fromkeys(name.partition(_CASES)[0] for name in case.maps):
            clean, changed = (f"{method}{_CASES}{what}" for what in (CLEAN, CHANGED))
            first, last = (case.numbers[name]["target"][0] for name in (clean, changed))
            record = {
                "id": case.sample.id,
                "method": method,
                "turned": first != last,
                CLEAN: small(heat_of(method, case.maps[clean])),
                CHANGED: small(heat_of(method, case.maps[changed])),
            }
            if record["turned"]:
                heat = heat_of(method, case.at_input(changed))
                best = _best_under(classifier, case.network_inputs[changed], heat)
                record |= {
                    "clean_label": best[0] == first,
                    "true_label": None if case.truth is None else best[0] in case.truth,
                    "in_five": first in best,
                }
            yield record

    def summary(self, records: Sequence[Record]) -> Summary:
        """Accuracies and shares in %, of the pictures that the attack has turned."""
        rows: dict[str, Mapping[str, Estimate]] = {}
        left_out = {}
        for method, own in by(records, "method").items():
            turned = [record for record in own if record["turned"]]
            if not turned:
                continue
            heat = [torch.tensor([r[CLEAN] for r in turned]), torch.tensor([r[CHANGED] for r in turned])]
            known = [r["true_label"] for r in turned if r["true_label"] is not None]
            rows[method] = {
                _DETECTED: told_apart(heat[0], heat[1]),
                _CLEAN: proportion([r["clean_label"] for r in turned], 100),
                **({_TRUE: proportion(known, 100)} if known else {}),
                _FIVE: proportion([r["in_five"] for r in turned], 100),
            }
            left_out["pictures that the attack has not turned"] = len(own) - len(turned)
        paper = {method: PAPER[method] for method in rows if method in PAPER}
        table = Table("attacked pictures: told apart, and brought back", rows, paper, "high")
        return Summary((table,), left_out={why: count for why, count in left_out.items() if count})


def small(saliency: Float[Tensor, "hm wm"]) -> list[list[float]]:
    """A heatmap as the detector sees it, SIDE by SIDE."""
    shrunk = F.interpolate(saliency.float()[None, None], (SIDE, SIDE), mode="area")[0, 0]
    found: list[list[float]] = shrunk.mul(1e4).round().div(1e4).tolist()
    return found


@torch.no_grad()
def _best_under(
    classifier: Classifier, network_input: NetworkInput, saliency: Float[Tensor, "h w"]
) -> list[int]:
    """The five best classes of a picture that is blurred where a heatmap is high, the best first."""
    picture, blurred = (
        on_device(classifier, p) for p in (network_input.plain, Blur().references(network_input)[0])
    )
    keep = on_device(classifier, 1 - saliency)[None]
    scores = classifier.probabilities(blend(picture, blurred, keep)[None])[0]
    best: list[int] = scores.topk(min(5, len(scores))).indices.tolist()
    return best
