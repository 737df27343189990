"""Small data sets in the layouts in which the real ones come."""

import csv
import json
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

TENCH, GOLDFISH, SHARK, TERRIER, SOAP = "n01440764", "n01443537", "n01484850", "n02085620", "n15075141"
PLACES = {TENCH: 0, GOLDFISH: 1, SHARK: 2, TERRIER: 151, SOAP: 999}
"""Where five of ImageNet's classes stand; 999 is toilet tissue, the last."""
BY_ILSVRC = {1: TERRIER, 2: SOAP, 3: TENCH, 4: SHARK}
"""ILSVRC's own numbers, in an order of their own."""
TRUTH = [3, 1, 2, 1, 4, 3]
"""The classes of the first validation images by those numbers."""


def pixels(seed=0, width=24, height=18):
    """Blocks of colour that JPEG changes little."""
    blocks = np.random.default_rng(seed).integers(
        0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8
    )
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def write_picture(path: Path, seed=0, width=24, height=18, orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    kind = "PNG" if path.suffix == ".png" else "JPEG"
    Image.fromarray(pixels(seed, width, height)).save(path, format=kind, exif=exif)
    return path


def as_stored(path):
    """A file's pixels by Pillow alone."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def plain_folder(root: Path):
    for seed, name in enumerate(["b.png", "a.JPG", "deep/er/c 1.jpeg", "deep/a.png"]):
        write_picture(root / name, seed)
    (root / "notes.txt").write_text("no image")
    write_picture(root / ".thumbnails/b.png")
    (root / "deep/._a.png").write_bytes(b"left by another system")
    return f"folder:{root}", None


def image_folder(root: Path):
    for seed, name in enumerate(["cat/2.png", "cat/10.png", "ant/1.JPEG", "cat/more/1.png", "zoo/x.png"]):
        write_picture(root / "val" / name, seed)
    return f"imagefolder:{root}", "val"


def list_file(root: Path):
    root.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(["one.png", "two words.png", "below/three.png"]):
        write_picture(root / name, seed)
    lines = "one.png 7\r\n\r\ntwo words.png 0\r\nbelow/three.png\t999\r\n"
    (root / "list.txt").write_bytes(b"\xef\xbb\xbf" + lines.encode())
    return f"list:{root / 'list.txt'}", None


def bounding_xml(path: Path, objects, size=(24, 18)):
    """Write objects (name, xmin, ymin, xmax, ymax) or (..., difficult) as VOC and ILSVRC do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [
        f"<object><name>{name}</name><difficult>{int(bool(rest))}</difficult>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
        f"<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, x0, y0, x1, y1, *rest in objects
    ]
    shape = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    path.write_text(f"<annotation><filename>x</filename>{shape}{''.join(parts)}</annotation>")
    return path


def imagenet_train(root: Path):
    """Folders of three of the thousand classes, with ILSVRC's boxes for some images."""
    for seed, name in enumerate(
        [f"{SOAP}/{SOAP}_1", f"{TENCH}/{TENCH}_10", f"{TENCH}/{TENCH}_9", f"{SHARK}/x"]
    ):
        write_picture(root / "Data/CLS-LOC/train" / f"{name}.JPEG", seed)
    notes = root / "Annotations/CLS-LOC/train"
    objects = [(GOLDFISH, 2, 2, 9, 9), (TENCH, 3, 4, 10, 18), ("n00000001", 1, 1, 5, 5)]
    bounding_xml(notes / TENCH / f"{TENCH}_10.xml", objects)
    return f"imagenet:{root}", "train"


def write_devkit(root: Path):
    """meta.mat as ILSVRC lays it out, groups of classes included, and the truth by its numbers."""
    data = root / "ILSVRC2012_devkit_t12/data"
    data.mkdir(parents=True)
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
    synsets = np.empty(
        (len(BY_ILSVRC) + 1, 1), dtype=[(name, object) for name in [*fields, "num_train_images"]]
    )
    rows = [(k, wnid, f"{wnid}, thing", "a gloss", 0, [], 0, 1300) for k, wnid in BY_ILSVRC.items()]
    rows.append((5, "n00001740", "entity", "a group", 2, [1, 2], 3, 0))
    for place, row in enumerate(rows):
        synsets[place, 0] = row
    scipy.io.savemat(data / "meta.mat", {"synsets": synsets})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{k}\n" for k in TRUTH))
    return data


def imagenet_val(root: Path):
    """Validation images in one folder, with the devkit."""
    for number in range(1, len(TRUTH) + 1):
        write_picture(root / f"val/ILSVRC2012_val_{number:08d}.JPEG", number)
    write_devkit(root)
    return f"imagenet:{root}", "val"


def imagenet_table(root: Path):
    rows = [("a.png", SOAP), ("b/c.png", TENCH), ("d.png", SOAP)]
    for seed, (name, _) in enumerate(rows):
        write_picture(root / name, seed)
    with (root / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "wnid", "index", "width", "height"])
        table.writerows([name, wnid, PLACES[wnid], 24, 18] for name, wnid in rows)
    boxes = {"a.png": [[1.5, 2, 10.25, 18], [0, 0, 3, 3]], "b/c.png": []}
    (root / "boxes.json").write_text(json.dumps(boxes))
    return f"imagenet:{root}", None


COCO = {
    "images": [
        {"id": 9, "file_name": "000000000009.jpg", "width": 24, "height": 18},
        {"id": 4, "file_name": "000000000004.jpg", "width": 24, "height": 18},
        {"id": 5, "file_name": "000000000005.jpg", "width": 24, "height": 18},
    ],
    "categories": [
        {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
        {"id": 3, "name": "car", "supercategory": "vehicle"},
        {"id": 18, "name": "dog", "supercategory": "animal"},
    ],
    "annotations": [
        {"id": 1, "image_id": 4, "category_id": 18, "bbox": [2.5, 3.0, 7.25, 9.5], "iscrowd": 0, "area": 60.0}
        | {"segmentation": [[2.5, 3.0, 9.75, 3.0, 9.75, 12.5, 2.5, 12.5], [15, 2, 20, 2, 20, 7]]},
        {"id": 2, "image_id": 9, "category_id": 90, "bbox": [0, 1, 2, 3], "iscrowd": 1, "area": 6}
        | {"segmentation": {"size": [18, 24], "counts": [1, 3, 15, 3, 410]}},
        {"id": 3, "image_id": 4, "category_id": 3, "bbox": [4, 5, 6, 7], "iscrowd": 0, "area": 42},
        {"id": 4, "image_id": 4, "category_id": 18, "bbox": [1, 1, 3, 2], "iscrowd": 0, "area": 6}
        | {"segmentation": {"size": [18, 24], "counts": None}},
    ],
}


def coco(root: Path):
    import copy

    from pycocotools import mask

    held = copy.deepcopy(COCO)
    drawn = np.zeros((18, 24), dtype=np.uint8, order="F")
    drawn[1:3, 1:4] = 1
    held["annotations"][3]["segmentation"]["counts"] = mask.encode(drawn)["counts"].decode()
    for seed, image in enumerate(held["images"]):
        write_picture(root / "val2017" / image["file_name"], seed)
    (root / "annotations").mkdir(parents=True)
    (root / "annotations/instances_val2017.json").write_text(json.dumps(held))
    (root / "annotations/person_keypoints_val2017.json").write_text("{}")
    return f"coco:{root}", "val2017"


VOC = {
    "000012": [("dog", 1, 1, 24, 18), ("person", 3, 5, 10, 12, True)],
    "000005": [("tvmonitor", 20, 2, 24, 9), ("dog", 2.5, 3.5, 7, 9)],
    "000009": [],
}


def voc(root: Path):
    year = root / "VOCdevkit/VOC2007"
    for seed, (name, objects) in enumerate(VOC.items()):
        write_picture(year / f"JPEGImages/{name}.jpg", seed)
        bounding_xml(year / f"Annotations/{name}.xml", objects)
    lists = year / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("".join(f"{name}\n" for name in VOC))
    (lists / "val.txt").write_text("000009\n")
    (lists / "dog_train.txt").write_text("000012  1\n000005  1\n000009 -1\n")
    values = np.zeros((18, 24), dtype=np.uint8)
    values[4:12, 2:10], values[0:2, 20:24], values[4, 2:10] = 1, 2, 255
    (year / "SegmentationObject").mkdir()
    picture = Image.fromarray(values).convert("P")
    picture.putdata(values.ravel().tolist())
    picture.save(year / "SegmentationObject/000012.png")
    return f"voc:{root}", "train"


def keypoints(root: Path):
    write_picture(root / "one.png", 1)
    write_picture(root / "below/two.png", 2)
    names = ["L_Eye", "Nearfrontfoot", "R_B_Paw", "left_hoof", "Nose"]
    points = [1.5, 2, 2, 3, 4, 1, 0, 0, 0, 7, 8, 2, 9, 10, 2]
    held = {
        "images": [{"id": 1, "file_name": "one.png"}, {"id": 2, "file_name": "below/two.png"}],
        "categories": [{"id": 1, "name": "horse", "supercategory": "large mammal", "keypoints": names}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12], "keypoints": points},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]},
        ],
    }
    (root / "horses.json").write_text(json.dumps(held))
    return f"keypoints:{root / 'horses.json'}", None


LAYOUTS = {
    "folder": plain_folder,
    "imagefolder": image_folder,
    "list": list_file,
    "imagenet-train": imagenet_train,
    "imagenet-val": imagenet_val,
    "imagenet-table": imagenet_table,
    "coco": coco,
    "voc": voc,
    "keypoints": keypoints,
}
