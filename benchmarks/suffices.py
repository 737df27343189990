"""The smallest mask that suffices, beside the preset fast and a slow search over λ1.

    UNSEE_ASSETS=DIR python benchmarks/suffices.py [--share 0.95] [--game deletion] [--photos 4]

The slow search learns a mask for each λ1 from 0.001 to 0.128, a factor of 2 apart, by Adam from the fully
edited mask, amplifies each by 1, 1.05, 1.1, … up to 3.4, and takes the least area that suffices under both
perturbations. Everything is the network's own score without jitter.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

import unsee
from common import assets, network
from unsee.classifier import Classifier
from unsee.explanation import Explanation
from unsee.fits import Squash
from unsee.images import Photo, read_photo
from unsee.masks import PRESETS, adjusted
from unsee.masks.checks import Checks
from unsee.masks.network_input import NetworkInput
from unsee.masks.optimisers.adam import Adam
from unsee.masks.penalties import L1
from unsee.masks.scoring import Scoring
from unsee.masks.settings import Settings
from unsee.masks.starts import EditedStart
from unsee.scores import Scores

NAMES = ("flute.jpg", "cat_dog_both.png", "doberman.png", "goldfish.jpg", "tabby_cat.jpg", "swan.jpg")
WEIGHTS = tuple(0.001 * 2**power for power in range(8))
AMPLIFIED = tuple(1.05**power for power in range(26))


def checks_of(classifier: Classifier, photo: Photo, target: tuple[int, ...], settings: Settings) -> Checks:
    """What scores the masks of one photo."""
    inputs = [NetworkInput.of(classifier, photo, Squash(), 0, settings.margin)]
    settings = settings.on(classifier.reading.score_name)
    score = settings.objective.score_on(classifier.reading.score_name)
    classes = classifier.reading.classes
    scoring = Scoring.prepare(classifier, inputs, [target], classes, settings.perturbations, score)
    upsampler = settings.grid.upsampler(scoring.size, scoring.targets)
    game = settings.objective.game
    return Checks.prepare(classifier, scoring, inputs, settings.perturbations, game, upsampler)


def judged(checks: Checks, grid: Tensor, by: float) -> tuple[float, float]:
    """The area of an amplified mask, and the lower of its shares."""
    game = checks.game
    masks = checks.upsampler((game.ideal - (game.saliency(grid) * by).clamp(max=1)).abs()[None]).clamp(0, 1)
    original, *ends = checks.ends[0].tolist()
    each = [
        Scores(original, now, end)
        for now, end in zip(checks.scores([0], masks)[0].tolist(), ends, strict=True)
    ]
    shares = [one.suppression if game.ideal == 1 else one.normalized for one in each]
    return float(game.saliency(masks).mean()), min(shares)


def searched(
    classifier: Classifier, photos: Sequence[Photo], settings: Settings, iterations: int
) -> list[list[Tensor]]:
    """The converged masks of each photo, one for each λ1."""
    found: list[list[Tensor]] = [[] for _ in photos]
    for weight in WEIGHTS:
        objective = settings.objective.with_penalty(L1(weight))
        adam = Adam(iterations=iterations)
        slow = replace(settings, objective=objective, start=EditedStart(), optimiser=adam, retries=())
        for row, one in zip(found, _listed(classifier, photos, slow), strict=True):
            row.append(one.mask_grid)
    return found


def _listed(classifier: Classifier, photos: Sequence[Photo], settings: Settings) -> list[Explanation]:
    made = unsee.explain(classifier, list(photos), preset=settings, precision="bfloat16")
    return made if isinstance(made, list) else [made]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.95)
    parser.add_argument("--game", default="deletion")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=150)
    options = parser.parse_args()
    folder = assets()
    if folder is None:
        parser.error("set UNSEE_ASSETS to the folder that holds photos/")
    photos = [read_photo(folder / "photos" / name) for name in NAMES[: options.photos]]
    classifier = network("efficientnet_lite0")
    settings = adjusted(PRESETS["fast"], game=options.game)
    plain = unsee.explain(classifier, list(photos), game=options.game)
    began = time.perf_counter()
    kinds = {"deletion": "suppress", "preservation": "keep"}
    found = unsee.explain(classifier, list(photos), **{kinds[options.game]: options.share})
    seconds = (time.perf_counter() - began) / len(photos)
    assert isinstance(plain, list)
    assert isinstance(found, list)
    slow = searched(classifier, photos, settings, options.iterations)
    print(f"share {options.share:.0%}, {options.game}; {seconds:.1f} s a photo; areas in %, the lower share")
    print("photo | fast: area, share | suffices: area, share, evaluations | slow search: area | ratio")
    ratios = []
    for photo, usual, one, grids in zip(photos, plain, found, slow, strict=True):
        checks = checks_of(classifier, photo, one.target.indices, settings)
        usual_area, usual_share = judged(checks, usual.mask_grid, 1.0)
        every = [judged(checks, grid, by) for grid in grids for by in AMPLIFIED]
        least = min((area for area, share in every if share >= options.share), default=math.nan)
        assert one.sufficiency is not None
        ratios.append(one.area / least)
        print(
            f"{photo.name} | {100 * usual_area:.1f}, {usual_share:.3f} | {100 * one.area:.1f}, "
            f"{one.sufficiency.chosen.worst:.3f}, {one.run.evaluations}"
            f"{'' if one.sufficiency.reached else ' not reached'} | {100 * least:.1f} | {ratios[-1]:.2f}",
            flush=True,
        )
    known = [math.log(ratio) for ratio in ratios if not math.isnan(ratio)]
    print(f"geometric mean of the ratios: {math.exp(sum(known) / max(len(known), 1)):.2f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
