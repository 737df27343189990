"""All saliency methods in one table: the learned mask, and what it is compared with.

unsee.METHODS["grad_cam"](classifier, images, [558])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.hooks import opened
from unsee.learned_map import learned_mask
from unsee.masks.learner import check_differentiable, check_gradient
from unsee.masks.settings import Settings
from unsee.needs import NEEDS
from unsee.saliency.blur_occlusion import blur_occlusion
from unsee.saliency.cam import cam
from unsee.saliency.center import center
from unsee.saliency.contrastive_excitation_backprop import contrastive_excitation_backprop
from unsee.saliency.deconvnet import deconvnet
from unsee.saliency.excitation_backprop import excitation_backprop
from unsee.saliency.feedback import feedback
from unsee.saliency.grad_cam import grad_cam
from unsee.saliency.gradient import gradient
from unsee.saliency.gradient_x_input import gradient_x_input
from unsee.saliency.guided_backprop import guided_backprop
from unsee.saliency.integrated_gradients import integrated_gradients
from unsee.saliency.lime import lime
from unsee.saliency.linear import linear
from unsee.saliency.lrp import lrp
from unsee.saliency.occlusion import occlusion
from unsee.saliency.rise import rise
from unsee.saliency.smooth_grad import smooth_grad
from unsee.saliency.targets import Targets
from unsee.saliency.variable_occlusion import variable_occlusion
from unsee.words import spelled


@final
@dataclass(frozen=True)
class Method:
    """A saliency method and what it declares.

    Args:
        name: its key in `METHODS`.
        call: the function `(classifier, images, targets)`, with its own options by name.
        source: who published it.
        summary: what it computes, in a line.
        reads_layer: whether `call` takes the name of a `layer`.
        seeded: whether `call` draws random numbers and takes a `seed`.
        costly: whether one image takes hundreds of network evaluations.
        learned: whether it is the learned mask, which also takes a preset in `compare` and `learn`.
    """

    name: str
    call: Callable[..., Tensor]
    source: str
    summary: str
    reads_layer: bool = False
    seeded: bool = False
    costly: bool = False
    learned: bool = False

    def __call__(
        self,
        classifier: Classifier,
        images: Float[Tensor, "b c h w"],
        targets: Targets,
        *,
        layer: str | None = None,
        seed: int = 0,
    ) -> Float[Tensor, "b hm wm"]:
        """One map for each image, high where it is salient.

        Args:
            classifier: borrowed, and given back as it was.
            images: in [0,1], at the network's input size.
            targets: a class, or a set of them, for each image.
            layer: where the method reads the network; by default the method chooses.
            seed: of the methods that draw; ignored by the others.

        Returns:
            Maps at the method's own size: the input's, or that of the layer it reads.

        Raises:
            UnseeError: a layer for a method that reads none, or the method cannot serve this network, these
                images or these targets.
        """
        self.check_layer(layer)
        self.check_network(classifier)
        options: dict[str, str | int] = {} if layer is None else {"layer": layer}
        if self.seeded:
            options["seed"] = seed
        return self.call(classifier, images, targets, **options)

    @property
    def spelled(self) -> str:
        """Its name as it is typed on the command line, and shown in messages."""
        return spelled(self.name)

    @property
    def needs_gradient(self) -> bool:
        """Whether `call` needs the gradient of the score with respect to the image."""
        return NEEDS[self.name].gradient

    @property
    def needs_hooks(self) -> bool:
        """Whether `call` reads or changes what happens inside the network."""
        return NEEDS[self.name].hooks

    def check_layer(self, layer: str | None) -> None:
        """Refuse a layer where the method reads none.

        Raises:
            UnseeError: there is a layer to read, and the method reads none.
        """
        if layer is not None and not self.reads_layer:
            readers = ", ".join(method.spelled for method in METHODS.values() if method.reads_layer)
            raise UnseeError(f"{self.spelled} reads no layer: leave it out; methods that read one: {readers}")

    def check_network(self, classifier: Classifier, settings: Settings | None = None) -> None:
        """Refuse a network that does not give what the method needs; `settings` are the learned mask's.

        Raises:
            UnseeError: the method needs a gradient, or to read layers, and the network does not give them.
        """
        if self.learned and settings is not None:
            check_gradient(classifier, settings)
        elif self.needs_gradient:
            check_differentiable(classifier)
        if self.needs_hooks:
            opened(classifier)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "mask",
            learned_mask,
            "Fong and Vedaldi 2017",
            "The learned mask: the smallest region that changes the score most when edited",
            seeded=True,
            costly=True,
            learned=True,
        ),
        Method(
            "gradient",
            gradient,
            "Simonyan et al. 2014",
            "The absolute gradient of the score, its maximum over the colours",
        ),
        Method(
            "guided_backprop",
            guided_backprop,
            "Springenberg et al. 2015",
            "The gradient, where ReLU passes back only positive gradients of active units",
        ),
        Method(
            "deconvnet",
            deconvnet,
            "Zeiler and Fergus 2014",
            "The gradient, where ReLU passes back only positive gradients",
        ),
        Method(
            "feedback",
            feedback,
            "Cao et al. 2015",
            "The gradient, after units that lower the score have been switched off behind every ReLU",
        ),
        Method(
            "gradient_x_input",
            gradient_x_input,
            "Shrikumar et al. 2016",
            "The gradient times the normalised input, summed over the colours",
        ),
        Method(
            "linear",
            linear,
            "Fong and Vedaldi 2017, §3.2",
            "The gradient times the image in [0,1]: what a linear model predicts for deleting each pixel",
        ),
        Method(
            "excitation_backprop",
            excitation_backprop,
            "Zhang et al. 2016",
            "The probability that a unit of a layer contributed to the score, by excitatory weights alone",
            reads_layer=True,
        ),
        Method(
            "contrastive_excitation_backprop",
            contrastive_excitation_backprop,
            "Zhang et al. 2016",
            "Excitation for the class less excitation against it",
            reads_layer=True,
        ),
        Method(
            "grad_cam",
            grad_cam,
            "Selvaraju et al. 2017",
            "The maps of a layer, weighted with their mean gradients",
            reads_layer=True,
        ),
        Method(
            "cam",
            cam,
            "Zhou et al. 2016",
            "The last maps, weighted as the last layer weights their means",
        ),
        Method(
            "lrp",
            lrp,
            "Bach et al. 2015",
            "Layer-wise relevance propagation, zennit's composite EpsilonPlusFlat",
        ),
        Method(
            "occlusion",
            occlusion,
            "Zeiler and Fergus 2014",
            "The mean fall of the score when a square of the mean colour covers a pixel",
            costly=True,
        ),
        Method(
            "blur_occlusion",
            blur_occlusion,
            "Fong and Vedaldi 2017, supplement §4.1",
            "Occlusion with soft discs of blur instead of squares of the mean colour",
            costly=True,
        ),
        Method(
            "variable_occlusion",
            variable_occlusion,
            "Fong and Vedaldi 2017, supplement §4.1",
            "The smallest of the random blurred discs that lower the score most",
            seeded=True,
            costly=True,
        ),
        Method(
            "lime",
            lime,
            "Ribeiro et al. 2016",
            "The weight of each segment in a linear model of the score",
            seeded=True,
            costly=True,
        ),
        Method(
            "center",
            center,
            "Zhang et al. 2016",
            "The baseline of the pointing game: the centre of every image",
        ),
        Method(
            "integrated_gradients",
            integrated_gradients,
            "Sundararajan et al. 2017",
            "Gradients along the line from the mean colour to the image, times the difference",
        ),
        Method(
            "smooth_grad",
            smooth_grad,
            "Smilkov et al. 2017",
            "The gradient, averaged over noisy copies of the image",
            seeded=True,
        ),
        Method(
            "rise",
            rise,
            "Petsiuk et al. 2018",
            "The mean of random soft masks, each weighted with the score of the image under it",
            seeded=True,
            costly=True,
        ),
    )
}
"""Name → method, the names of the command line."""


def method_named(name: object) -> Method:
    """The method of a name; case is ignored, and dashes equal underscores.

    Raises:
        UnseeError: there is no such method; the message suggests the nearest name.
    """
    key = spelled(name).casefold() if isinstance(name, str) else name
    return look_up({method.spelled: method for method in METHODS.values()}, key, "method")
