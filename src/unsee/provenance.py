"""How a mask was learned, and what a result depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from unsee.explanation_files import form_of
from unsee.pixels import RGB, UNIT
from unsee.records import number
from unsee.target_scores import SOFTMAX


class DeletedTokens(NamedTuple):
    """What a mask on tokens deletes.

    Args:
        deleted: how many tokens.
        tokens: how many there are.
        score: with the deleted ones gone; None if it is not finite.
        dropped: whether they were taken out; else their embeddings were masked.
    """

    deleted: int
    tokens: int
    score: float | None
    dropped: bool

    @classmethod
    def of(cls, token_check: Mapping[str, Any]) -> "DeletedTokens | None":
        """From what results record (`Run.token_check`); None for masks that do not lie on tokens."""
        if "tokens" not in token_check:
            return None
        dropped = token_check.get("dropped_score")
        score = token_check["binarised_score"] if dropped is None else dropped
        return cls(token_check["deleted"], token_check["tokens"], score, "note" not in token_check)


@dataclass(frozen=True)
class Run:
    """How the mask was learned.

    Args:
        preset: name of the preset, "custom" for settings of one's own.
        game: "deletion", "preservation" or "dual".
        settings: all settings, as JSON values.
        seed: of the photo's random draws.
        iterations: steps taken.
        evaluations: forward passes of the network for this photo.
        objective: the weighted terms of the returned mask by name, averaged over a fixed set of jitters.
        history: the same terms before each step, with that step's jitter.
        verdict: "converged", or what went wrong.
        seconds: the photo's share of its batch's time.
        attempts: how often the mask was begun; the best attempt is kept.
        asked_area: the share of the input that was asked for, None where none was.
        asked_share: of the score that was asked for, with the smallest area: kept, or in deletion removed.
        token_check: what the edit says of the mask besides its scores, as JSON values; nothing for pixels.
            Of tokens: `tokens`, how many there are; `deleted`, how many have a mask below 0.5;
            `binarised_score`, with 0 for these and 1 for the others; `dropped_score`, with these really taken
            out of the sequence, or None if none would stay; `note`, if they cannot be.
    """

    preset: str
    game: str
    settings: Mapping[str, Any]
    seed: int
    iterations: int
    evaluations: int
    objective: Mapping[str, float]
    history: Mapping[str, tuple[float, ...]]
    verdict: str
    seconds: float
    attempts: int = 1
    asked_area: float | None = None
    asked_share: float | None = None
    token_check: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> "Run":
        """The run of a saved explanation; what older ones do not have takes its default.

        Raises:
            KeyError, TypeError, AttributeError: parts are missing or of a wrong type.
        """
        optional = ("asked_area", "asked_share")
        own = {
            field: manifest[field] if field in optional else number(manifest[field])
            for field in cls.__dataclass_fields__
            if field in manifest
        }
        terms = {key: number(value) for key, value in manifest["objective_terms"].items()}
        history = {key: tuple(map(number, values)) for key, values in manifest["history"].items()}
        return cls(**own | {"objective": terms, "history": history})


@dataclass(frozen=True)
class Provenance:
    """Network, weights and software behind a result.

    Args:
        model: the network's name.
        weights_sha256: of its weight file, if known.
        input_size: height and width of its input, in pixels.
        fit: how the photo was brought to it.
        precision: the one the mask was learned in.
        versions: of the software.
        head: what the network's answer means: "softmax", "sigmoid" or "logit", after "probabilities, " if
            the network itself returns them.
        network: what else its scores depend on (`Classifier.record`); empty in older results.
        channels: of its input.
        value_range: what black and white are for it.
    """

    model: str
    weights_sha256: str | None
    input_size: tuple[int, int]
    fit: str
    precision: str
    versions: Mapping[str, str]
    head: str = SOFTMAX
    network: Mapping[str, Any] = field(default_factory=dict)
    channels: int = RGB
    value_range: tuple[float, float] = UNIT

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> "Provenance":
        """What a saved explanation depends on; what older ones do not have takes its default.

        Raises:
            KeyError, TypeError: parts are missing or of a wrong type.
        """
        known = {field: manifest[field] for field in cls.__dataclass_fields__ if field in manifest}
        return cls(**known | {"input_size": tuple(manifest["input_size"]), **form_of(manifest)})
