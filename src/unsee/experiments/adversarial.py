"""Adversarial defence (§5.5, fig. 10): heatmaps reveal attacked images, and masks undo the attack."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unsee.classifier import Classifier
from unsee.experiments.attack import EPSILON, Adversarial, check_attackable
from unsee.experiments.detector import SIDE, detection_rate
from unsee.experiments.experiment import About, Case, FirstImages, Record, Summary, Table, by, on_device
from unsee.experiments.maps import MapSource, Setup, heat_of
from unsee.masks.edits.linear_blend import blend
from unsee.masks.edits.perturbation import Blur
from unsee.masks.network_input import NetworkInput
from unsee.metrics import Estimate, proportion

CLEAN, CHANGED = "clean", "attacked"
_DETECTED = "detected by heatmap, %"
_CLEAN, _TRUE, _FIVE = "clean label recovered, %", "true label recovered, %", "clean label in top 5, %"
PAPER = {"mask": {_DETECTED: 93.6, _CLEAN: 40.64, _TRUE: 37.32, _FIVE: 100.0}}
"""§5.5: 5,000 training images, of which 1,000 test the detector (AlexNet); masks of GoogLeNet."""
_CASES = ", "


@dataclass(frozen=True)
class AdversarialDefence:
    """A detector on the heatmaps of clean and attacked images, and the predictions under the latter's masks.

    Args:
        epsilon: the largest change of a pixel value, in (0,1).
        attack_steps: steps of the attack.
    """

    epsilon: float = EPSILON
    attack_steps: int = 10
    about: ClassVar[About] = About(
        name="adversarial",
        title="Adversarial defence (§5.5, fig. 10)",
        asks=(
            "A ten-step attack changes images by at most 8/255 to lower the score of their best class. If "
            "the best class changes, a detector has to tell the heatmaps before and after apart, on held-out "
            "images; and the region that the heatmap of the attacked image marks is blurred, which may "
            "restore the label. Masks are applied as they are, other maps are min-max normalised to [0,1]."
        ),
        needs="images whose best class the attack changes",
        target="top1",
        paper_data=("imagenet",),
        shows=FirstImages.MAPS,
        costly=True,
        own_maps=True,
    )

    def map_sources(self, setup: Setup) -> list[MapSource]:
        """Every method, on the clean images and on the attacked ones.

        Raises:
            UnseeError: the network gives no gradient to attack by.
        """
        network = setup.classifiers[0]
        check_attackable(network)
        changed = Adversarial(setup.dataset, network, self.epsilon, self.attack_steps)
        return [
            MapSource(f"{method}{_CASES}{what}", method, images, network, setup.preset, self.about.target)
            for method in setup.methods
            for what, images in ((CLEAN, setup.dataset), (CHANGED, changed))
        ]

    def records(self, classifier: Classifier, case: Case) -> Iterator[Record]:
        """For each method both heatmaps, shrunk, and the prediction under the attacked image's heatmap."""
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
        """Accuracies and shares in %, over the images whose best class the attack changed."""
        rows: dict[str, Mapping[str, Estimate]] = {}
        left_out = {}
        for method, own in by(records, "method").items():
            turned = [record for record in own if record["turned"]]
            if not turned:
                continue
            heat = [torch.tensor([r[CLEAN] for r in turned]), torch.tensor([r[CHANGED] for r in turned])]
            known = [r["true_label"] for r in turned if r["true_label"] is not None]
            rows[method] = {
                _DETECTED: detection_rate(heat[0], heat[1]),
                _CLEAN: proportion([r["clean_label"] for r in turned], 100),
                **({_TRUE: proportion(known, 100)} if known else {}),
                _FIVE: proportion([r["in_five"] for r in turned], 100),
            }
            left_out["images whose best class the attack did not change"] = len(own) - len(turned)
        paper = {method: PAPER[method] for method in rows if method in PAPER}
        table = Table("attacked images: detected, and labels recovered", rows, paper, "high")
        return Summary((table,), left_out={why: count for why, count in left_out.items() if count})


def small(saliency: Float[Tensor, "hm wm"]) -> list[list[float]]:
    """A heatmap as the detector reads it, SIDE by SIDE."""
    shrunk = F.interpolate(saliency.float()[None, None], (SIDE, SIDE), mode="area")[0, 0]
    found: list[list[float]] = shrunk.mul(1e4).round().div(1e4).tolist()
    return found


@torch.no_grad()
def _best_under(
    classifier: Classifier, network_input: NetworkInput, saliency: Float[Tensor, "h w"]
) -> list[int]:
    """The five best classes of an image that is blurred where a heatmap is high, the best first."""
    image, blurred = (
        on_device(classifier, p) for p in (network_input.plain, Blur().references(network_input)[0])
    )
    keep = on_device(classifier, 1 - saliency)[None]
    scores = classifier.probabilities(blend(image, blurred, keep)[None])[0]
    best: list[int] = scores.topk(min(5, len(scores))).indices.tolist()
    return best
