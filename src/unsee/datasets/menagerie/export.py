"""Write samples in the folder layouts of ImageNet and COCO."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool
from PIL import Image

from unsee.datasets.menagerie.things import CLUTTER, PLANTED
from unsee.datasets.sample import Instance, Sample
from unsee.errors import UnseeError

EYES, FEET = 2, 6
"""The most eyes and feet an animal has; COCO wants a fixed number of keypoints for each category."""


def export_imagenet(
    samples: Iterable[Sample], folder: str | Path, split: str, classes: Sequence[str]
) -> Path:
    """Write ILSVRC's localisation layout.

    Images lie at Data/CLS-LOC/<split>/<class>/<id>.png, which torchvision's ImageFolder reads; boxes, of
    all instances, at Annotations/CLS-LOC/<split>/<class>/<id>.xml, counted from 0 and closed as in
    VOC. Samples without a class go to the class "none".

    Args:
        samples: the images with their ground truth.
        folder: where the layout is written; it may hold other splits.
        split: the name of the split, such as "train".
        classes: the names of the labels.

    Returns:
        The folder.

    Raises:
        UnseeError: the split exists.
    """
    root = Path(folder)
    data, notes = root / "Data" / "CLS-LOC" / split, root / "Annotations" / "CLS-LOC" / split
    _fresh(data, notes)
    for sample in samples:
        name = "none" if sample.label is None else classes[sample.label]
        for parent in (data, notes):
            (parent / name).mkdir(exist_ok=True)
        Image.fromarray(sample.image).save(data / name / f"{sample.id}.png")
        ElementTree.ElementTree(_annotation(sample, name)).write(notes / name / f"{sample.id}.xml")
    return root


def export_coco(samples: Iterable[Sample], folder: str | Path, split: str, classes: Sequence[str]) -> Path:
    """Write COCO's layout.

    Images lie at <split>/<id>.png, the rest in annotations/instances_<split>.json: class k is category
    k + 1, the menagerie's things follow by name with the supercategory "thing", seen or not, so that
    splits agree; segments are uncompressed run lengths, keypoints the eyes and then the feet.

    Args:
        samples: the images with their ground truth.
        folder: where the layout is written; it may hold other splits.
        split: the name of the split, such as "train".
        classes: the names of the labels.

    Returns:
        The folder.

    Raises:
        UnseeError: the split exists.
    """
    root = Path(folder)
    data, notes = root / split, root / "annotations" / f"instances_{split}.json"
    if notes.exists():
        raise UnseeError(f"{notes} already exists; choose another folder or split")
    _fresh(data)
    notes.parent.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    things = sorted({*CLUTTER, *PLANTED} - set(classes))
    categories = {name: k for k, name in enumerate([*classes, *things], start=1)}
    for number, sample in enumerate(samples, start=1):
        height, width, _ = sample.image.shape
        images.append({"id": number, "file_name": f"{sample.id}.png", "width": width, "height": height})
        Image.fromarray(sample.image).save(data / f"{sample.id}.png")
        for instance in (*sample.instances, *sample.things):
            category = categories.setdefault(instance.name, len(categories) + 1)
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
            annotations.append(entry | _coco_instance(instance))
    keypoints = [f"eye_{k + 1}" for k in range(EYES)] + [f"foot_{k + 1}" for k in range(FEET)]
    known = [
        {"id": k, "name": name, "supercategory": "animal", "keypoints": keypoints, "skeleton": []}
        if name in classes
        else {"id": k, "name": name, "supercategory": "thing"}
        for name, k in categories.items()
    ]
    notes.write_text(json.dumps({"images": images, "annotations": annotations, "categories": known}))
    return root


def _fresh(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise UnseeError(f"{folder} already exists; choose another folder or split") from error


def _text(parent: ElementTree.Element, values: Mapping[str, str | int | float]) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)


def _annotation(sample: Sample, name: str) -> ElementTree.Element:
    height, width, depth = sample.image.shape
    root = ElementTree.Element("annotation")
    _text(root, {"folder": name, "filename": sample.id})
    _text(ElementTree.SubElement(root, "size"), {"width": width, "height": height, "depth": depth})
    for instance in sample.instances:
        entry = ElementTree.SubElement(root, "object")
        _text(entry, {"name": instance.name, "pose": "Unspecified", "truncated": 0, "difficult": 0})
        x0, y0, x1, y1 = instance.box
        corners = {"xmin": x0, "ymin": y0, "xmax": x1 - 1, "ymax": y1 - 1}
        _text(ElementTree.SubElement(entry, "bndbox"), corners)
    return root


def _coco_instance(instance: Instance) -> dict[str, Any]:
    x0, y0, x1, y1 = instance.box
    entry: dict[str, Any] = {"bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0, "area": (x1 - x0) * (y1 - y0)}
    if instance.segment is not None:
        counts = _run_lengths(instance.segment)
        entry |= {
            "segmentation": {"size": list(instance.segment.shape), "counts": counts},
            "area": int(instance.segment.sum()),
        }
    if instance.label is None:
        return entry | {"planted": instance.planted}
    flat: list[float] = []
    for kind, most in (("eye", EYES), ("foot", FEET)):
        points = [p for p in instance.keypoints if p.kind == kind]
        for point in points:
            flat += [round(point.x, 2), round(point.y, 2), 2]
        flat += [0, 0, 0] * (most - len(points))
    return entry | {"keypoints": flat, "num_keypoints": len(instance.keypoints)}


def _run_lengths(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """Lengths of runs down the columns, alternately outside and inside, beginning outside."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    return [0, *runs] if flat[0] else [int(run) for run in runs]
