"""Deliberate mistakes in the readers, one at a time: the comparisons have to notice each."""

from dataclasses import replace

import numpy as np
import pytest

import test_datasets_coco as coco
import test_datasets_imagenet as imagenet
import test_datasets_imagenet_val as validation
import test_datasets_keypoints as keypoints
import test_datasets_voc as voc
from data_sets import BY_ILSVRC
from unsee.datasets import coco as coco_reader
from unsee.datasets import coco_json, picture, xml_boxes
from unsee.datasets import voc as voc_reader
from unsee.datasets.imagenet import classes as imagenet_classes
from unsee.datasets.imagenet import devkit

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools'

segment_of, keypoints_of, read_values = (
    coco_reader.segment_of,
    coco_json.keypoints_of,
    voc_reader._read_values,
)
read_annotation, half_open = xml_boxes.read_annotation, xml_boxes.half_open


def other_first(x0, y0, x1, y1, first):
    return half_open(x0, y0, x1, y1, 1 - first)


def closed(x0, y0, x1, y1, first):
    return x0 - first, y0 - first, x1 - first, y1 - first


def rows_before_columns(x0, y0, x1, y1, first):
    return half_open(y0, x0, y1, x1, first)


def places_of_ilsvrc(file):
    """ILSVRC's numbers, from 0, as if they were the standard order."""
    return {number: number - 1 for number in BY_ILSVRC}


def numbers_one_off(file):
    wnids = [BY_ILSVRC[number] for number in sorted(BY_ILSVRC)]
    return {number: imagenet_classes.WNIDS.index(wnids[number % len(wnids)]) for number in BY_ILSVRC}


def down_the_rows(entry, shape, source):
    mask = segment_of(entry, shape, source)
    return mask if mask is None else mask.ravel(order="F").reshape(mask.shape)


def upright_always(path, size, source):
    return picture.read_picture(path)


def hidden_ones_too(annotation, names):
    flat = [2 if place % 3 == 2 else number for place, number in enumerate(annotation.get("keypoints") or ())]
    return keypoints_of({**annotation, "keypoints": flat}, names)


def as_they_come(held, key):
    return list(held)


def none_is_difficult(path, first):
    noted = read_annotation(path, first)
    return replace(noted, objects=tuple(replace(entry, difficult=False) for entry in noted.objects))


def objects_in_another_order(path):
    values = read_values(path)
    return np.choose(values.clip(0, 3), [values, 0 * values + 2, 0 * values + 1, values]).astype(np.uint8)


def border_to_the_first(path):
    values = read_values(path)
    return np.where(values == 255, 1, values).astype(np.uint8)


MISTAKES = {
    "boxes counted from 1": (xml_boxes, "half_open", other_first, imagenet.compare_boxes),
    "boxes counted from 0, VOC": (xml_boxes, "half_open", other_first, voc.compare_voc),
    "boxes without their last pixel": (xml_boxes, "half_open", closed, imagenet.compare_boxes),
    "boxes without their last pixel, VOC": (xml_boxes, "half_open", closed, voc.compare_voc),
    "rows before columns": (xml_boxes, "half_open", rows_before_columns, imagenet.compare_boxes),
    "ILSVRC's numbers for labels": (devkit, "_read_meta", places_of_ilsvrc, validation.compare_devkit),
    "ILSVRC's numbers one off": (devkit, "_read_meta", numbers_one_off, validation.compare_devkit),
    "width and height for corners": (coco_reader, "corners", tuple, coco.compare_small_coco),
    "run lengths down the rows": (coco_reader, "segment_of", down_the_rows, coco.compare_crowd),
    "labels in the file's order": (coco_json, "sorted", as_they_come, coco.compare_small_coco),
    "hidden keypoints": (coco_reader, "keypoints_of", hidden_ones_too, keypoints.compare_keypoints),
    "images upright": (coco_reader, "read_annotated", upright_always, keypoints.compare_orientation),
    "none difficult": (voc_reader, "read_annotation", none_is_difficult, voc.compare_voc),
    "objects in another order": (
        voc_reader,
        "_read_values",
        objects_in_another_order,
        voc.compare_voc_segments,
    ),
    "the border a part of it": (voc_reader, "_read_values", border_to_the_first, voc.compare_voc_segments),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch, tmp_path):
    place, part, mistake, compare = MISTAKES[name]
    monkeypatch.setattr(place, part, mistake, raising=part != "sorted")
    with pytest.raises(AssertionError):
        compare(tmp_path)


def test_another_order_of_classes_is_noticed(monkeypatch):
    wnids = imagenet_classes.WNIDS
    monkeypatch.setattr(imagenet, "WNIDS", (*wnids[1:], wnids[0]))
    with pytest.raises(AssertionError):
        imagenet.compare_classes()
    monkeypatch.setattr(imagenet, "class_names", lambda: tuple(sorted(imagenet_classes.class_names())))
    monkeypatch.setattr(imagenet, "WNIDS", wnids)
    with pytest.raises(AssertionError):
        imagenet.compare_classes()


@pytest.mark.parametrize(
    "compare", sorted({case[-1] for case in MISTAKES.values()}, key=lambda f: f.__name__)
)
def test_what_notices_the_mistakes_finds_none_where_there_are_none(compare, tmp_path):
    compare(tmp_path)
