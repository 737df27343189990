"""The result: a mask, its proof, and where they come from. Frozen, saved whole or not at all."""

import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unsee.errors import UnseeError
from unsee.images import Photo, PhotoLike, read_photo
from unsee.records import finite

MANIFEST = "explanation.json"
_EXPLODES_BELOW = 1e-6


@dataclass(frozen=True)
class Target:
    """The classes that are explained, all at once; `asked` is how they were asked for."""

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
    """The target's score of the photo, of the edited photo, and of the fully perturbed one."""

    original: float
    perturbed: float
    reference: float

    @property
    def normalized(self) -> float:
        """p' = (p - p_b)/(p₀ - p_b) (§5.2, note 4), from 1, untouched, to 0.

        NaN where p₀ - p_b is below 1e-6: such photos are left out of every mean.
        """
        span = self.original - self.reference
        return math.nan if span < _EXPLODES_BELOW else (self.perturbed - self.reference) / span

    @property
    def suppression(self) -> float:
        """1 - p': the share of the score that the edit takes away; above 1 where it takes more than all."""
        return 1 - self.normalized


@dataclass(frozen=True)
class Run:
    """How the mask was learned.

    `objective` holds the weighted terms `score`, `l1` and `tv` of the mask that is returned, averaged over a
    fixed set of jitters; `history` the same before each step, with that step's jitter. `verdict` is
    "converged" or says what went wrong. `seconds` is the photo's share of its batch's time.
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
    """What the result was made from: network, weights, software; `precision` is that of the descent."""

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
        photo: as it was read, h by w pixels.
        target: the classes explained.
        scores: of the photo, the edited photo and the fully perturbed one.
        mask: one value a pixel of the photo, float32 in [0,1]; 1 keeps, 0 deletes.
        mask_grid: the mask that was learned, on its cells.
        perturbed: the edited photo, RGB in [0,1].
        area: the share of the network's input that the mask marks, in [0,1].
        run: how it was learned.
        provenance: what it was made from.
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
        """In [0,1], high where the evidence is: 1 - mask in the deletion game, the mask in preservation."""
        return 1 - self.mask if self.run.game == "deletion" else self.mask

    @property
    def suppression(self) -> float:
        """The share of the score that the edit takes away (`Scores.suppression`)."""
        return self.scores.suppression

    @property
    def objective(self) -> float:
        """What the mask that is returned costs, averaged over a fixed set of jitters."""
        return sum(self.run.objective.values())

    @property
    def converged(self) -> bool:
        """Whether the descent ended well; `run.verdict` says what did not."""
        return self.run.verdict == "converged"

    def manifest(self) -> dict[str, Any]:
        """Everything but the pixels, as JSON values; numbers that are not finite become null."""
        run = asdict(self.run)
        terms, history = run.pop("objective"), run.pop("history")
        single = len(self.target.indices) == 1
        manifest: dict[str, Any] = finite(
            {
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

    def show(self) -> None:
        """Draw the photo and its score, the edited photo and its score, and the mask (fig. 1)."""
        from unsee.figures.explanation import show_explanation  # noqa: PLC0415

        show_explanation(self)

    def save(self, folder: str | Path, overwrite: bool = False) -> Path:
        """Write arrays, pictures and, last, `explanation.json` into a folder; returns the folder.

        All files are made aside first, so a failure leaves what was there.

        Raises:
            UnseeError: the folder already holds an explanation and is not to be overwritten, or cannot be
                written to.
        """
        from unsee.figures.explanation import draw_explanation  # noqa: PLC0415

        place = Path(folder)
        if (place / MANIFEST).exists() and not overwrite:
            raise UnseeError(f"{place} already holds an explanation: choose another folder, or overwrite it")
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=place) as aside:
                self._write(Path(aside))
                draw_explanation(self, Path(aside))
                (place / MANIFEST).unlink(missing_ok=True)
                for file in sorted(Path(aside).iterdir(), key=lambda file: file.name == MANIFEST):
                    shutil.move(file, place / file.name)
        except OSError as error:
            raise UnseeError(f"{place} cannot be written to ({error.strerror or error})") from error
        return place

    def _write(self, folder: Path) -> None:
        np.save(folder / "mask.npy", self.mask.numpy())
        np.save(folder / "mask_grid.npy", self.mask_grid.numpy())
        (folder / MANIFEST).write_text(json.dumps(self.manifest(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, photo: PhotoLike | None = None) -> "Explanation":
        """Read a saved explanation again; the edited photo comes back rounded to 8 bits.

        Args:
            folder: what `save` wrote.
            photo: the photo, if it has moved or never was a file: what `read_photo` takes.

        Raises:
            UnseeError: files are missing or broken, or the photo is not the one that was explained.
        """
        place = Path(folder)
        try:
            manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
            mask = torch.from_numpy(np.load(place / "mask.npy", allow_pickle=False))
            grid = torch.from_numpy(np.load(place / "mask_grid.npy", allow_pickle=False))
            if not (_is_mask(mask) and _is_mask(grid)):
                raise UnseeError(f"{place} holds a mask that is none: not two axes of values from 0 to 1")
            source = read_photo(manifest["photo"] if photo is None else photo)
            if source.sha256 != manifest["photo_sha256"]:
                raise UnseeError(f"{source.path or source.name} is not the photo that {place} explains")
            if mask.shape != source.pixels.shape[-2:]:
                raise UnseeError(f"{place} holds a mask of another size than its photo")
            return cls._from_manifest(
                manifest, source, mask, grid, read_photo(place / "perturbed.png").pixels
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnseeError(f"{place} holds no whole explanation ({error})") from error

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
        from unsee.figures.explanation import explanation_html  # noqa: PLC0415

        return explanation_html(self)


def _is_mask(values: Tensor) -> bool:
    return values.ndim == 2 and values.numel() > 0 and bool(((values >= 0) & (values <= 1)).all())


def _number(value: Any) -> Any:  # noqa: ANN401
    return math.nan if value is None else value
