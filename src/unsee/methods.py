"""All saliency methods in one table: the learned mask, and what it is compared with.

unsee.METHODS["grad_cam"](classifier, images, [558])
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from unsee.choices import look_up
from unsee.classifier import Classifier
from unsee.errors import UnseeError
from unsee.needs import GRADIENT, RULES, RULES_TO_MAPS, SCORES, Needs
from unsee.optional import function_at
from unsee.words import spelled

Targets = Int[Tensor, " b"] | Sequence[int | Sequence[int] | set[int] | frozenset[int]]
"""One class for each image, or a set of them."""


@final
@dataclass(frozen=True)
class Method:
    """A saliency method and what it declares.

    Args:
        name: its key in `METHODS`.
        source: who published it.
        summary: what it computes, in a line.
        needs: of a network. The learned mask uses the gradient where there is one.
        reads_layer: whether `call` takes the name of a `layer`.
        seeded: whether `call` draws random numbers and takes a `seed`.
        costly: whether one image takes hundreds of network evaluations.
        learned: whether it is the learned mask, which also takes a preset in `compare` and `learn`.
        function: `(classifier, images, targets)`, with its own options by name: itself, or "module:function",
            imported when needed; by default the one of its name in `unsee.saliency`.
    """

    name: str
    source: str
    summary: str
    needs: Needs
    reads_layer: bool = False
    seeded: bool = False
    costly: bool = False
    learned: bool = False
    function: str | Callable[..., Tensor] = ""

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
    def call(self) -> Callable[..., Tensor]:
        """The function, imported."""
        return function_at(self.function or f"unsee.saliency.{self.name}:{self.name}")

    @property
    def spelled(self) -> str:
        """Its name as it is typed on the command line, and shown in messages."""
        return spelled(self.name)

    @property
    def needs_gradient(self) -> bool:
        """Whether `call` needs the gradient of the score with respect to the image."""
        return self.needs.gradient

    @property
    def needs_hooks(self) -> bool:
        """Whether `call` reads or changes what happens inside the network."""
        return self.needs.hooks

    def check_layer(self, layer: str | None) -> None:
        """Refuse a layer where the method reads none.

        Raises:
            UnseeError: there is a layer to read, and the method reads none.
        """
        if layer is not None and not self.reads_layer:
            readers = ", ".join(method.spelled for method in METHODS.values() if method.reads_layer)
            raise UnseeError(f"{self.spelled} reads no layer: leave it out; methods that read one: {readers}")

    def check_network(self, classifier: Classifier) -> None:
        """Refuse a network that does not give what the method needs.

        Args:
            classifier: any.

        Raises:
            UnseeError: the method needs a gradient, or to read layers, and the network does not give them.
        """
        if self.needs_gradient:
            check_differentiable(classifier)
        if self.needs_hooks:
            check_hookable(classifier)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "mask",
            "Fong and Vedaldi 2017",
            "The learned mask: the smallest region that changes the score most when edited",
            SCORES,
            seeded=True,
            costly=True,
            learned=True,
            function="unsee.learned_map:learned_mask",
        ),
        Method(
            "gradient",
            "Simonyan et al. 2014",
            "The absolute gradient of the score, its maximum over the colours",
            GRADIENT,
        ),
        Method(
            "guided_backprop",
            "Springenberg et al. 2015",
            "The gradient, where ReLU passes back only positive gradients of active units",
            RULES,
        ),
        Method(
            "deconvnet",
            "Zeiler and Fergus 2014",
            "The gradient, where ReLU passes back only positive gradients",
            RULES,
        ),
        Method(
            "feedback",
            "Cao et al. 2015",
            "The gradient, after units that lower the score have been switched off behind every ReLU",
            RULES,
        ),
        Method(
            "gradient_x_input",
            "Shrikumar et al. 2016",
            "The gradient times the normalised input, summed over the colours",
            GRADIENT,
        ),
        Method(
            "linear",
            "Fong and Vedaldi 2017, §3.2",
            "The gradient times the image in [0,1]: what a linear model predicts for deleting each pixel",
            GRADIENT,
        ),
        Method(
            "excitation_backprop",
            "Zhang et al. 2016",
            "The probability that a unit of a layer contributed to the score, by excitatory weights alone",
            RULES_TO_MAPS,
            reads_layer=True,
        ),
        Method(
            "contrastive_excitation_backprop",
            "Zhang et al. 2016",
            "Excitation for the class less excitation against it",
            RULES_TO_MAPS,
            reads_layer=True,
        ),
        Method(
            "grad_cam",
            "Selvaraju et al. 2017",
            "The maps of a layer, weighted with their mean gradients",
            Needs(gradient=True, hooks=True, maps=True),
            reads_layer=True,
        ),
        Method(
            "cam",
            "Zhou et al. 2016",
            "The last maps, weighted as the last layer weights their means",
            Needs(hooks=True, maps=True, structure=True),
        ),
        Method(
            "lrp",
            "Bach et al. 2015",
            "Layer-wise relevance propagation, zennit's composite EpsilonPlusFlat",
            RULES,
        ),
        Method(
            "occlusion",
            "Zeiler and Fergus 2014",
            "The mean fall of the score when a square of the mean colour covers a pixel",
            SCORES,
            costly=True,
        ),
        Method(
            "blur_occlusion",
            "Fong and Vedaldi 2017, supplement §4.1",
            "Occlusion with soft discs of blur instead of squares of the mean colour",
            SCORES,
            costly=True,
        ),
        Method(
            "variable_occlusion",
            "Fong and Vedaldi 2017, supplement §4.1",
            "The smallest of the random blurred discs that lower the score most",
            SCORES,
            seeded=True,
            costly=True,
        ),
        Method(
            "lime",
            "Ribeiro et al. 2016",
            "The weight of each segment in a linear model of the score",
            SCORES,
            seeded=True,
            costly=True,
        ),
        Method(
            "center",
            "Zhang et al. 2016",
            "The baseline of the pointing game: the centre of every image",
            Needs(baseline=True),
        ),
        Method(
            "integrated_gradients",
            "Sundararajan et al. 2017",
            "Gradients along the line from the mean colour to the image, times the difference",
            GRADIENT,
        ),
        Method(
            "smooth_grad",
            "Smilkov et al. 2017",
            "The gradient, averaged over noisy copies of the image",
            GRADIENT,
            seeded=True,
        ),
        Method(
            "rise",
            "Petsiuk et al. 2018",
            "The mean of random soft masks, each weighted with the score of the image under it",
            SCORES,
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


def check_differentiable(classifier: Classifier) -> None:
    """Refuse a network without a gradient.

    Raises:
        UnseeError: its scores have no gradient with respect to the image.
    """
    if not classifier.reading.differentiable:
        raise UnseeError(f"{classifier.name} gives no gradient: {usable(classifier)} need none")


def check_hookable(classifier: Classifier) -> None:
    """Refuse a network whose layers cannot be read.

    Raises:
        UnseeError: the network is scripted, traced, frozen or exported, or is not run by torch.
    """
    if not classifier.hookable:
        raise UnseeError(
            f"the layers of {classifier.name} are closed: give the network that it was made from; "
            f"{usable(classifier)} need none"
        )


def usable(classifier: Classifier, maps: bool = True) -> str:
    """The methods that a network serves whatever its layers are, for a message: "occlusion, lime and rise".

    Args:
        classifier: whether it has a gradient and layers to read decides.
        maps: whether methods count that read maps.
    """
    gradient, hooks = classifier.reading.differentiable, classifier.hookable
    names = [method.spelled for method in METHODS.values() if method.needs.met(gradient, hooks, maps)]
    return f"{', '.join(names[:-1])} and {names[-1]}"
