"""The result of learning a mask: the mask, the edited image with its score, and the provenance."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.files import staged_folder
from unsee.images import Photo, PhotoLike, read_photo
from unsee.records import finite

MANIFEST = "explanation.json"
FORMAT = 2
"""The format of saved explanations; manifests of format 1 do not state theirs."""
_RENAMED = {"algorithm": "optimiser", "evidence": "shown_with"}
"""Settings of format 1 → what they are called since."""
_SMALLEST_SPAN = 1e-6


@dataclass(frozen=True)
class Target:
    """The classes that are explained together; `asked` is the target as the caller gave it."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    asked: str = "predicted"

    def __str__(self) -> str:
        return " + ".join(self.names)

    @property
    def short(self) -> str:
        """The first class, and how many more there are."""
        more = len(self.names) - 1
        return f"{self.names[0]} + {more} more" if more else self.names[0]


@dataclass(frozen=True)
class Scores:
    """The target's scores for the photo, the edited photo, and the fully perturbed photo."""

    original: float
    perturbed: float
    reference: float

    @property
    def normalized(self) -> float:
        """p' = (p - p_b)/(p₀ - p_b) (§5.2, note 4): 1 for the unedited photo, 0 for the fully perturbed one.

        NaN if p₀ - p_b is below 1e-6; means leave such photos out.
        """
        span = self.original - self.reference
        return math.nan if span < _SMALLEST_SPAN else (self.perturbed - self.reference) / span

    @property
    def suppression(self) -> float:
        """1 - p', the share of the score that the edit removes; above 1 if the score falls below p_b."""
        return 1 - self.normalized


@dataclass(frozen=True)
class Run:
    """How the mask was learned.

    Args:
        preset: name of the preset, "custom" for settings of one's own.
        game: "deletion" or "preservation".
        settings: all settings, as JSON values.
        seed: of the photo's random draws.
        iterations: steps taken.
        evaluations: forward passes of the network for this photo.
        objective: the weighted terms of the returned mask by name, averaged over a fixed set of jitters.
        history: the same terms before each step, with that step's jitter.
        verdict: "converged", or what went wrong.
        seconds: the photo's share of its batch's time.
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


@dataclass(frozen=True)
class Provenance:
    """Network, weights and software behind a result; `precision` is the one the mask was learned in."""

    model: str
    weights_sha256: str | None
    input_size: tuple[int, int]
    fit: str
    precision: str
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Which part of a photo a classifier's score rests on.

    Args:
        photo: the photo as it was read, h by w pixels.
        target: the classes explained.
        scores: the target's scores for the photo, the edited photo and the fully perturbed photo.
        mask: one value per pixel of the photo, float32 in [0,1]; 1 keeps the pixel, 0 deletes it.
        mask_grid: the learned mask on its coarse grid.
        perturbed: the edited photo, RGB in [0,1].
        area: the share of the network's input that the mask marks, in [0,1].
        run: how the mask was learned.
        provenance: network, weights and software.
    """

    photo: Photo
    target: Target
    scores: Scores
    mask: Float[Tensor, "h w"]
    mask_grid: Float[Tensor, "r c"]
    perturbed: Float[Tensor, "3 h w"]
    area: float
    run: Run
    provenance: Provenance

    def __repr__(self) -> str:
        scores = self.scores
        return (
            f"<Explanation of {self.photo.name}: {self.target.short}, {scores.original:.4f} → "
            f"{scores.perturbed:.4f}, area {self.area:.1%}, {self.run.verdict}>"
        )

    @property
    def saliency(self) -> Float[Tensor, "h w"]:
        """In [0,1], high where the score depends on the photo: 1 - mask for deletion, the mask otherwise."""
        return 1 - self.mask if self.run.game == "deletion" else self.mask

    @property
    def suppression(self) -> float:
        """The share of the score that the edit removes (`Scores.suppression`)."""
        return self.scores.suppression

    @property
    def objective(self) -> float:
        """The objective of the returned mask, averaged over a fixed set of jitters."""
        return sum(self.run.objective.values())

    @property
    def converged(self) -> bool:
        """Whether learning converged; if not, `run.verdict` says why."""
        return self.run.verdict == "converged"

    def manifest(self) -> dict[str, Any]:
        """Everything except pixels, as JSON values; numbers that are not finite become null."""
        run = asdict(self.run)
        terms, history = run.pop("objective"), run.pop("history")
        single = len(self.target.indices) == 1
        manifest: dict[str, Any] = finite(
            {
                "format": FORMAT,
                "photo": str(self.photo.path or self.photo.name),
                "photo_sha256": self.photo.sha256,
                "photo_size": list(self.photo.pixels.shape[-2:]),
                "photo_notes": list(self.photo.notes),
                "target": {
                    "index": self.target.indices[0] if single else list(self.target.indices),
                    "name": self.target.names[0] if single else list(self.target.names),
                    "asked": self.target.asked,
                },
                "scores": asdict(self.scores),
                "normalized_score": self.scores.normalized,
                "suppression": self.suppression,
                "area": self.area,
                "objective": self.objective,
                "objective_terms": terms,
                "converged": self.converged,
                **run,
                **asdict(self.provenance),
                "history": history,
            }
        )
        return manifest

    def panels(self) -> list[tuple[Tensor, str]]:
        """The panels of the figure (fig. 1), each with its title: image, edited image, mask."""
        scores, name = self.scores, self.target.short
        state = "" if self.converged else ", did not converge"
        marks = "kept" if self.run.game == "preservation" else "deleted"
        return [
            (self.photo.pixels, f"{name}: {scores.original:.4f}"),
            (self.perturbed, f"{name}: {scores.perturbed:.4f}"),
            (self.mask, f"learned mask, {self.area:.0%} {marks}{state}"),
        ]

    # Matplotlib is imported only when something is drawn: processes that learn masks never need it.

    def show(self) -> None:
        """Show the photo and its score, the edited photo and its score, and the mask (fig. 1)."""
        from unsee.drawing import side_by_side  # noqa: PLC0415

        side_by_side.show(self.panels())

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write arrays, images and, last, `explanation.json` into a folder.

        The files are written to a temporary folder first, so a failure leaves an earlier explanation intact.

        Args:
            folder: where to write; it is made if necessary. Other files in it are kept.
            overwrite: whether to replace an explanation that the folder holds.

        Returns:
            The folder.

        Raises:
            UnseeError: the folder holds an explanation and `overwrite` is false, or it cannot be written to.
        """
        from unsee.drawing import panels, side_by_side  # noqa: PLC0415

        folder = Path(folder)
        if (folder / MANIFEST).exists() and not overwrite:
            raise UnseeError(f"{folder} already holds an explanation: choose another folder, or overwrite it")
        try:
            with staged_folder(folder, MANIFEST) as staged:
                self._write(staged)
                side_by_side.save_masked(staged, self.photo.pixels, self.perturbed, self.mask, self.saliency)
                panels.save(side_by_side.side_by_side(self.panels()), staged / "figure.png")
        except OSError as error:
            raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error
        return folder

    def _write(self, folder: Path) -> None:
        np.save(folder / "mask.npy", self.mask.numpy())
        np.save(folder / "mask_grid.npy", self.mask_grid.numpy())
        (folder / MANIFEST).write_text(json.dumps(self.manifest(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, photo: PhotoLike | None = None) -> "Explanation":
        """Read a saved explanation. The edited photo comes back rounded to 8 bits.

        Args:
            folder: a folder that `save` has written, in any format up to `FORMAT`.
            photo: the photo, in any form that `read_photo` takes, if it has moved or was never a file.

        Raises:
            UnseeError: files are missing or damaged, the format is newer than this version of unsee reads,
                or the photo is not the one that was explained.
        """
        folder = Path(folder)
        try:
            manifest = _read_manifest(folder)
            mask, grid = _read_mask(folder / "mask.npy"), _read_mask(folder / "mask_grid.npy")
            source = read_photo(manifest["photo"] if photo is None else photo)
            if source.sha256 != manifest["photo_sha256"]:
                raise UnseeError(
                    f"{source.path or source.name} is not the photo that was explained in {folder}: "
                    "give the photo as it was then"
                )
            if mask.shape != source.pixels.shape[-2:]:
                raise UnseeError(
                    f"{folder / 'mask.npy'} has shape {tuple(mask.shape)}, but the photo has "
                    f"{tuple(source.pixels.shape[-2:])}: explain the photo again"
                )
            edited = read_photo(folder / "perturbed.png").pixels
            return cls._from_manifest(manifest, source, mask, grid, edited)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnseeError(f"{folder} holds no complete explanation ({error})") from error

    @classmethod
    def _from_manifest(
        cls, manifest: Mapping[str, Any], photo: Photo, mask: Tensor, grid: Tensor, perturbed: Tensor
    ) -> "Explanation":
        index, name, asked = (manifest["target"][key] for key in ("index", "name", "asked"))
        single = isinstance(index, int)
        known = {field: _number(manifest[field]) for field in Run.__dataclass_fields__ if field in manifest}
        known |= {
            "objective": {key: _number(value) for key, value in manifest["objective_terms"].items()},
            "history": {key: tuple(map(_number, v)) for key, v in manifest["history"].items()},
        }
        origin = {field: manifest[field] for field in Provenance.__dataclass_fields__}
        origin["input_size"] = tuple(origin["input_size"])
        return cls(
            photo=photo,
            target=Target((index,), (name,), asked) if single else Target(tuple(index), tuple(name), asked),
            scores=Scores(**{key: _number(value) for key, value in manifest["scores"].items()}),
            mask=mask,
            mask_grid=grid,
            perturbed=perturbed,
            area=_number(manifest["area"]),
            run=Run(**known),
            provenance=Provenance(**origin),
        )

    def _repr_html_(self) -> str:
        from unsee.drawing.report import embedded, facts_table  # noqa: PLC0415
        from unsee.drawing.side_by_side import side_by_side  # noqa: PLC0415

        scores, run = self.scores, self.run
        facts = {
            "target": str(self.target),
            "score": f"{scores.original:.4f} → {scores.perturbed:.4f} (fully perturbed {scores.reference:.4f})",
            "suppression": f"{self.suppression:.1%}",
            "area": f"{self.area:.1%}",
            "objective": f"{self.objective:.4f}",
            "run": f"{run.preset}, {run.iterations} iterations, {run.verdict}",
            "model": self.provenance.model,
        }
        alt = f"{self.photo.name}, edited photo and mask for {self.target}"
        return f"<div>{embedded(side_by_side(self.panels()), alt)}{facts_table(facts)}</div>"


def _read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a saved explanation, in today's format.

    Raises:
        UnseeError: the format is newer than `FORMAT`.
        OSError, ValueError, AttributeError: there is no such file, or it is not a manifest.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    version = manifest.get("format", 1)
    if version not in range(1, FORMAT + 1):
        raise UnseeError(
            f"{folder} holds an explanation of format {version}, but this version of unsee reads formats "
            f"1 to {FORMAT}: update unsee"
        )
    if version == 1:
        settings = {_RENAMED.get(name, name): value for name, value in manifest["settings"].items()}
        manifest |= {"settings": settings}
    return manifest


def _read_mask(file: Path) -> Tensor:
    """A saved mask.

    Raises:
        UnseeError: the array is not a mask.
        OSError, ValueError, EOFError: there is no such file, or it is not an array.
    """
    mask = torch.from_numpy(np.load(file, allow_pickle=False))
    low, high = (float(mask.min()), float(mask.max())) if mask.numel() else (math.nan, math.nan)
    if mask.ndim != 2 or not (low >= 0 and high <= 1):
        raise UnseeError(
            f"{file} must be 2-D with values in [0, 1], got {mask.ndim}-D with {low:g} to {high:g}: "
            "explain the photo again"
        )
    return mask


def _number(value: Any) -> Any:  # noqa: ANN401
    return math.nan if value is None else value
