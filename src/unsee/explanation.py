"""The result of learning a mask: the mask, the edited image with its score, and the provenance."""

import json
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from unsee.drawing.checkered import without_tokens
from unsee.errors import UnseeError
from unsee.explanation_files import FORMAT, MANIFEST, PERTURBED, SavedExplanation, read_manifest, read_saved
from unsee.files import staged_folder
from unsee.images import Photo, PhotoLike
from unsee.pixels import RGB, Bands, checked_bands
from unsee.provenance import DeletedTokens, Provenance, Run
from unsee.records import finite, number
from unsee.scores import Scores, Target
from unsee.smallest_mask import Sufficiency, other_folder, question_record, remove_stale
from unsee.verdicts import CONVERGED
from unsee.words import counted

__all__ = ["Explanation", "Provenance", "Run", "Scores", "Target"]


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Which part of a photo a classifier's score rests on.

    Args:
        photo: the photo as it was read, h by w pixels.
        target: the classes explained.
        scores: the target's scores for the photo, the edited photo and the fully perturbed photo.
        mask: one value per pixel of the photo, float32 in [0,1]; 1 keeps the pixel, 0 deletes it.
        mask_grid: the learned mask on its coarse grid.
        perturbed: the edited photo, in [0,1]; None if the mask edits no pixels, as on a layer.
        area: the share of the network's input, or of the layer, that the mask marks, in [0,1].
        run: how the mask was learned.
        provenance: network, weights and software.
        sufficiency: how the mask answers the question for the smallest one that suffices; None without one.
        others: further such masks, none of which touches the cells of another.
    """

    photo: Photo
    target: Target
    scores: Scores
    mask: Float[Tensor, "h w"]
    mask_grid: Float[Tensor, "r c"]
    perturbed: Float[Tensor, "n h w"] | None
    area: float
    run: Run
    provenance: Provenance
    sufficiency: Sufficiency | None = None
    others: "tuple[Explanation, ...]" = ()

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
        return self.run.verdict == CONVERGED

    def manifest(self, bands: Bands | None = None) -> dict[str, Any]:
        """Everything except pixels, as JSON values; numbers that are not finite become null.

        `bands` is recorded if images were drawn with it.
        """
        run = asdict(self.run)
        terms, history = run.pop("objective"), run.pop("history")
        manifest: dict[str, Any] = finite(
            {
                "format": FORMAT,
                "photo": str(self.photo.path or self.photo.name),
                "photo_sha256": self.photo.sha256,
                "photo_size": list(self.photo.pixels.shape[-2:]),
                "photo_notes": list(self.photo.notes),
                "target": self.target.record(),
                "scores": asdict(self.scores),
                "normalized_score": self.scores.normalized,
                "suppression": self.suppression,
                "area": self.area,
                "objective": self.objective,
                "objective_terms": terms,
                "converged": self.converged,
                "edits_pixels": self.perturbed is not None,
                **run,
                **asdict(self.provenance),
                "history": history,
                **self._answer(),
                **({} if bands is None else {"bands": list(bands)}),
            }
        )
        return manifest

    def _answer(self) -> dict[str, Any]:
        """The question for the smallest mask that suffices, and its answer; empty without one."""
        if self.sufficiency is None:
            return {}
        record = self.sufficiency.record()
        return {
            "sufficient": question_record(self.sufficiency.asked),
            "sufficiency": {**record, "others": len(self.others)},
        }

    @property
    def masked(self) -> str:
        """What the mask lies on: "pixels"; where none is edited, "layer NAME" or the perturbation's name."""
        if self.perturbed is not None:
            return "pixels"
        first = self.run.settings["perturbations"][0]
        return f"layer {first['layer']}" if "layer" in first else str(first["name"])

    def panels(self, bands: Bands | None = None) -> list[tuple[Tensor, str]]:
        """The panels of the figure (fig. 1), each with its title: photo, edited photo, mask.

        Images are as `unsee.drawing.panels.viewed` shows them. Where no pixel is edited, the photo under the
        heatmap, or with its deleted tokens checkered out, takes the edited photo's place, and the titles say
        so.
        """
        from unsee.drawing import panels  # noqa: PLC0415

        scores, name, photo = self.scores, self.target.short, self.photo.pixels
        state = "" if self.converged else ", did not converge"
        marks = "deleted" if self.run.game == "deletion" else "kept"
        asked = self.run.asked_area
        marks += "" if asked is None else f" ({asked:.3g} asked)"
        what = "learned mask" if self.perturbed is not None else f"mask on {self.masked}"
        title = f"{name}: {scores.perturbed:.4f}"
        gone = DeletedTokens.of(self.run.token_check)
        if gone is not None:
            edited, title = without_tokens(panels.viewed(photo, bands), self.mask, name, *gone)
        elif self.perturbed is None:
            edited = panels.overlaid(photo, self.saliency, bands)
            title += ", no pixel edited"
        else:
            edited = panels.viewed(self.perturbed, bands)
        return [
            (panels.viewed(photo, bands), f"{name}: {scores.original:.4f}"),
            (edited, title),
            (self.mask, f"{what}, {self.area:.0%} {marks}{state}"),
        ]

    def show(self, bands: Bands | None = None) -> None:
        """Show the photo and its score, the edited photo and its score, and the mask (fig. 1).

        Args:
            bands: the channels that are drawn as red, green and blue, from 0; by default one channel is drawn
                as grey, three as RGB, four by the first three, and others as the grey of their mean.
        """
        # Matplotlib is imported only to draw: workers that learn masks for a data set never need it.
        from unsee.drawing import side_by_side  # noqa: PLC0415

        side_by_side.show(self.panels(checked_bands(bands, len(self.photo.pixels))))

    def save(self, folder: str | Path, overwrite: bool = False, bands: Bands | None = None) -> Path:
        """Write arrays, images and, last, `explanation.json`; if that fails, the folder keeps its old files.

        Args:
            folder: where to write; it is made if necessary. Other files in it are kept.
            overwrite: whether to replace an explanation that the folder holds.
            bands: as in `show`.

        Returns:
            The folder.

        Raises:
            UnseeError: the folder holds an explanation and `overwrite` is false, or it cannot be written to.
        """
        from unsee.drawing import panels, side_by_side  # noqa: PLC0415

        folder, photo = Path(folder), self.photo.pixels
        bands = checked_bands(bands, len(photo))
        if (folder / MANIFEST).exists() and not overwrite:
            raise UnseeError(f"{folder} already holds an explanation: choose another folder, or overwrite it")
        for place, other in enumerate(self.others, start=1):
            other.save(other_folder(folder, place), overwrite=True, bands=bands)
        try:
            with staged_folder(folder, MANIFEST) as staged:
                self._write(staged, bands)
                self._write_answer(staged, bands)
                side_by_side.save_masked(staged, photo, self.perturbed, self.mask, self.saliency, bands)
                panels.save(side_by_side.side_by_side(self.panels(bands)), staged / "figure.png")
                written = {file.name for file in staged.iterdir()}
            remove_stale(folder, written, len(self.others))
        except OSError as error:
            raise UnseeError(f"{folder} cannot be written to ({error.strerror or error})") from error
        return folder

    def _write(self, folder: Path, bands: Bands | None) -> None:
        np.save(folder / "mask.npy", self.mask.numpy())
        np.save(folder / "mask_grid.npy", self.mask_grid.numpy())
        if self.perturbed is not None and len(self.perturbed) != RGB:
            np.save(folder / PERTURBED, self.perturbed.numpy())
        (folder / MANIFEST).write_text(json.dumps(self.manifest(bands), indent=1) + "\n", encoding="utf-8")

    def _write_answer(self, folder: Path, bands: Bands | None) -> None:
        """The path, and the picture of the further masks, where they were asked for."""
        found, deletes = self.sufficiency, self.run.game == "deletion"
        if found is None:
            return
        # imported only to draw, as in `show`
        from unsee.smallest_mask_files import write_others, write_path  # noqa: PLC0415

        shown = self.run.settings["shown_with"] or self.run.settings["perturbations"][0]
        if found.asked.path:
            write_path(folder, found, shown["name"], deletes, self.target.short, bands)
        if self.others:
            masks = [(one.saliency, one.short_answer) for one in (self, *self.others)]
            write_others(folder, self.photo.pixels, masks, bands)

    @property
    def short_answer(self) -> str:
        """The score and the area in a few words, with what is wrong if there is something."""
        state = "" if self.converged else f", {self.run.verdict.split(':', maxsplit=1)[0]}"
        return f"{self.scores.original:.3f} → {self.scores.perturbed:.3f}, area {self.area:.1%}{state}"

    @classmethod
    def load(cls, folder: str | Path, photo: PhotoLike | None = None) -> "Explanation":
        """Read a saved explanation. An edited RGB photo comes back rounded to 8 bits.

        Args:
            folder: a folder that `save` has written, also in an earlier version of unsee.
            photo: the photo, in any form that `read_photo` takes, if it has moved or was never a file.

        Raises:
            UnseeError: files are missing or damaged, or the photo is not the one that was explained.
        """
        folder = Path(folder)
        try:
            return cls._from_saved(read_saved(folder, photo))._with_others(folder, photo)
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnseeError(f"{folder} holds no complete explanation ({error})") from error

    def _with_others(self, folder: Path, photo: PhotoLike | None) -> "Explanation":
        """The same with the further masks that its folder holds."""
        count = read_manifest(folder).get("sufficiency", {}).get("others", 0)
        others = (Explanation.load(other_folder(folder, place), photo) for place in range(1, count + 1))
        return replace(self, others=tuple(others))

    @classmethod
    def _from_saved(cls, saved: SavedExplanation) -> "Explanation":
        manifest = saved.manifest
        return cls(
            photo=saved.photo,
            target=Target.read(manifest),
            scores=Scores(**{key: number(value) for key, value in manifest["scores"].items()}),
            mask=saved.mask,
            mask_grid=saved.mask_grid,
            perturbed=saved.perturbed,
            area=number(manifest["area"]),
            run=Run.read(manifest),
            provenance=Provenance.read(manifest),
            sufficiency=Sufficiency.read(manifest["sufficient"], manifest["sufficiency"])
            if "sufficient" in manifest
            else None,
        )

    def _repr_html_(self) -> str:
        from unsee.drawing import report, side_by_side  # noqa: PLC0415

        run, (before, after, reference) = self.run, astuple(self.scores)
        facts = {
            "target": str(self.target),
            **({} if self.perturbed is not None else {"masked": f"{self.masked}, no pixel is edited"}),
            "score": f"{before:.4f} → {after:.4f} (fully perturbed {reference:.4f})",
            "suppression": f"{self.suppression:.1%}",
            "area": f"{self.area:.1%}" + ("" if run.asked_area is None else f" ({run.asked_area:.1%} asked)"),
            "objective": f"{self.objective:.4f}",
            "run": f"{run.preset}, {counted(run.iterations, 'iteration')}, {run.verdict}",
            "model": self.provenance.model,
        }
        alt = f"{self.photo.name}, edited photo and mask for {self.target}"
        figure = report.embedded(side_by_side.side_by_side(self.panels()), alt)
        return f"<div>{figure}{report.facts_table(facts)}</div>"
