"""The published parameter sets with their sources, and a fast way to the paper's result."""

from dataclasses import replace

from unsee.masks.area_penalties import ExactArea, SortedArea
from unsee.masks.edits.levels import BlurLevels
from unsee.masks.edits.perturbation import (
    Blur,
    Constant,
    GaussianNoise,
    Median,
    MedianGaussian,
    NativeBlur,
)
from unsee.masks.edits.tokens import Tokens
from unsee.masks.game import PRESERVATION
from unsee.masks.grid import Grid
from unsee.masks.objective import Objective
from unsee.masks.optimisers.adam import Adam
from unsee.masks.optimisers.area_steps import AreaSteps
from unsee.masks.optimisers.bundle import Bundle
from unsee.masks.optimisers.momentum import Momentum
from unsee.masks.penalties import L1, MeanAxisVariation, MeanL1, TotalVariation
from unsee.masks.settings import Retry, Settings, adjusted
from unsee.masks.smooth_grid import SmoothGrid
from unsee.masks.starts import CircularStart, ConstantStart, EditedStart
from unsee.target_scores import logit_score

PAPER = Settings(source="Fong & Vedaldi 2017, §4.3, implementation details")

FAST = replace(
    PAPER,
    source="the paper's objective, reached with a tenth of the evaluations (docs/decisions/fast.md)",
    start=EditedStart(),
    optimiser=Bundle(),
    retries=(Retry(CircularStart(), Bundle(), empty=True), Retry(CircularStart(), Adam())),
)

EXTREMAL = Settings(
    source="Fong, Patrick & Vedaldi 2019, with the values of the authors' released code",
    objective=Objective(game=PRESERVATION, penalties=(SortedArea(),), score=logit_score),
    perturbations=(BlurLevels(),),
    grid=SmoothGrid(),
    start=EditedStart(),
    optimiser=Momentum(),
    jitter=0,
    mirrored=True,
)

PRESETS: dict[str, Settings] = {
    "fast": FAST,
    "paper": PAPER,
    "top5": replace(
        PAPER,
        source="Fong & Vedaldi 2017, §5.6, note to table 1, and supplement §6.2",
        objective=Objective(penalties=(L1(1e-3), TotalVariation(1e-2, beta=2.0))),
        targets=5,
    ),
    "artifact-joint": replace(
        PAPER,
        source="Fong & Vedaldi 2017, fig. 5 top, with the values of the authors' notebook",
        objective=Objective(penalties=(L1(1e-5), TotalVariation(1e-3))),
        perturbations=(Constant(), GaussianNoise(), Blur()),
        optimiser=Adam(rate=1.0),
        targets=5,
        shown_with=Blur(),
    ),
    "artifact-constant": replace(
        PAPER,
        source="Fong & Vedaldi 2017, fig. 5 bottom, with the values of the authors' notebook",
        perturbations=(Constant(),),
        targets=5,
    ),
    "preservation": replace(
        PAPER,
        source="Fong & Vedaldi 2017, supplement eq. (1) and §6.5; no mask blur, as in the authors' notebook",
        objective=Objective(game=PRESERVATION),
        grid=Grid(blur=0.0),
    ),
    "alexnet": replace(
        PAPER,
        source="Fong & Vedaldi 2017, supplement §6.3: cells of 7.5667 px, 30² of them at 227²",
        objective=Objective(penalties=(L1(1e-4, cells=None), TotalVariation(1e-2))),
        grid=Grid(cell=227 / 30),
    ),
    "authors": replace(
        PAPER,
        source="the authors' released code, with its circular start",
        perturbations=(NativeBlur(),),
        grid=Grid(straight_through=True),
        start=CircularStart(last=170, stretch=True, first_target=True),
    ),
    "extremal": EXTREMAL,
    "extremal-fast": replace(
        EXTREMAL,
        source="masks as extremal's, in 60 evaluations and of the exact area (docs/area.md)",
        objective=Objective(
            game=PRESERVATION, penalties=(ExactArea(grid=SmoothGrid(spread=True)),), score=logit_score
        ),
        grid=SmoothGrid(spread=True),
        optimiser=AreaSteps(),
    ),
    "pytorch-port": replace(
        PAPER,
        source="the public PyTorch port: means, bilinear upsampling, noise on the input, no jitter",
        objective=Objective(penalties=(MeanL1(0.01), MeanAxisVariation(0.2))),
        perturbations=(Median(),),
        grid=Grid(shape=(28, 28), upsampling="bilinear_aligned", blur=0.0),
        start=ConstantStart(1.0),
        optimiser=Adam(iterations=500),
        jitter=0,
        input_noise=0.2,
        shown_with=MedianGaussian(),
    ),
    "tokens": replace(
        adjusted(FAST, perturbation=Tokens()),
        source="fast on the patch tokens of a vision transformer, which are dropped (docs/tokens.md)",
    ),
}
