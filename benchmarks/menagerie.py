"""How fast the menagerie draws: through a DataLoader with two workers, and on one core.

The loader's wall time includes starting its workers. The milliseconds are CPU time of a single process, which
other programs on the machine affect less than wall time.
"""

import argparse
import json
import time
from typing import cast

from torch.utils.data import DataLoader, Dataset

from unsee.datasets.menagerie import Menagerie
from unsee.datasets.sample import Sample

WORKERS = 2
ALONE = 60
"""Images that the single process draws."""


def main() -> None:
    """Print images per second and milliseconds per image as one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=400, help="images for the loader")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.pictures)))


def measure(pictures: int) -> dict[str, float | int]:
    """The loader's images per second, and CPU milliseconds per image."""
    milliseconds = alone(ALONE)
    return {
        "pictures": pictures,
        "workers": WORKERS,
        "pictures_per_second": round(pictures / loading(pictures), 1),
        "milliseconds_per_picture_of_one_core": round(milliseconds, 1),
    }


def loading(pictures: int) -> float:
    """Seconds that a loader takes to deliver the images."""
    data = cast("Dataset[Sample]", Menagerie("train", pictures))
    loader = DataLoader(data, batch_size=10, num_workers=WORKERS, collate_fn=list)
    began = time.perf_counter()
    handed = sum(len(batch) for batch in loader)
    seconds = time.perf_counter() - began
    if handed != pictures:
        raise RuntimeError(f"the loader delivered {handed} of {pictures} images")
    return seconds


def alone(pictures: int) -> float:
    """Milliseconds of CPU time per image in this process."""
    data = Menagerie("train", pictures + 1)
    _ = data[pictures]
    began = time.process_time()
    for index in range(pictures):
        _ = data[index]
    return 1000 * (time.process_time() - began) / pictures


if __name__ == "__main__":
    main()
