"""Any Python callable that gives scores for images, as a classifier. It gives no gradient."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unsee.class_names import ClassNames
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.heads import AUTO, Head
from unsee.input_values import Channels
from unsee.models.score_rows import score_rows
from unsee.models.sidecar import LAYOUTS
from unsee.network_wrappers import ClosedNetwork
from unsee.pixels import UNIT

_MID_GREY = 0.5
_MOST_WORDS = 200


class CallableNetwork(ClosedNetwork):
    """Asks a function for the scores.

    Args:
        function: takes an array of float32 and returns (B,classes) scores.
        layout: of the array: "NCHW" or "NHWC".
    """

    def __init__(self, function: Callable[[Any], Any], layout: str = LAYOUTS[0]) -> None:
        super().__init__()
        self.function, self.layout = function, layout
        self.classes: int | None = None

    def forward(self, images: Tensor) -> Tensor:
        """The scores of (B,C,H,W) images, in float32 and without a gradient.

        Raises:
            UnseeError: the function fails, or gives no row of finite scores for each image.
        """
        placed = images.detach().permute(0, 2, 3, 1) if self.layout == "NHWC" else images.detach()
        given = np.array(placed.cpu().numpy(), np.float32, order="C")
        name = function_name(self.function)
        try:
            answer = self.function(given)
        except (UnseeError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:_MOST_WORDS]
            raise UnseeError(
                f"{name} failed on an array of shape {given.shape}: {type(error).__name__}: {words}"
            ) from error
        rows = score_rows(answer, len(given), name)
        if np.asarray(answer).dtype.kind != "f":
            raise UnseeError(
                f"{name} gave whole numbers: unsee needs scores as decimal numbers, not the number of the "
                "best class; let it give probabilities or logits, such as scikit-learn's predict_proba"
            )
        if self.classes is not None and rows.shape[1] != self.classes:
            raise UnseeError(f"{name} gave {rows.shape[1]} scores for an image, and {self.classes} before")
        self.classes = rows.shape[1]
        return rows.to(images.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "CallableNetwork":
        copied = CallableNetwork(self.function, self.layout)
        copied.classes, copied.training = self.classes, self.training
        return copied


def BlackBox(  # noqa: N802
    fn: Callable[[Any], Any],
    size: int | tuple[int, int] = (224, 224),
    *,
    channels: int | None = None,
    mean: Channels = None,
    std: Channels = None,
    value_range: tuple[float, float] = UNIT,
    class_names: ClassNames | None = None,
    head: Head = AUTO,
    score: str | None = None,
    mean_color: Channels = None,
    layout: str = LAYOUTS[0],
    name: str | None = None,
    weights_sha256: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Classifier:
    """A classifier around any function of images: a black box that answers, and gives no gradient.

    classifier = unsee.BlackBox(lambda images: model.predict_proba(images.reshape(len(images), -1)), size=32)

    It can be pickled where the function can; copies share the function.

    Args:
        fn: takes images as an array of float32, contiguous and its own, (B,C,H,W) or with `layout` (B,H,W,C),
            and returns (B,classes) scores as anything that numpy makes an array of decimal numbers of. B
            differs from call to call.
        size: one side, or height and width, of the images that it takes, in pixels.
        channels, value_range, class_names, head, score, weights_sha256, facts: as `Classifier` takes them.
        mean, std: of each channel, likewise; without them values stay as they are in the value range.
        mean_color: likewise; mid-grey without it and without `mean`.
        layout: "NCHW" or "NHWC".
        name: in results and errors; defaults to the function's name.

    Raises:
        UnseeError: the arguments are not valid; when it is evaluated, the function fails, or gives no row of
            finite scores for each image.
    """
    if layout not in LAYOUTS:
        raise UnseeError(f"layout must be NCHW or NHWC, got {layout!r}")
    if mean is None and std is None:
        mean_color = _MID_GREY if mean_color is None else mean_color
        if value_range in (UNIT, list(UNIT)):
            mean, std = 0.0, 1.0
    return Classifier(
        CallableNetwork(fn, layout).eval(),
        size=(size, size) if isinstance(size, int) else size,
        channels=channels,
        mean=mean,
        std=std,
        value_range=value_range,
        class_names=class_names,
        head=head,
        score=score,
        mean_color=mean_color,
        name=function_name(fn) if name is None else name,
        weights_sha256=weights_sha256,
        facts={} if facts is None else facts,
    )


def function_name(function: object) -> str:
    """What a function is called: its own name, or that of its type."""
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__name__", type(inner).__name__))
