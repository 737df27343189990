"""How fast the menagerie draws: through a DataLoader with two workers, and on one core.

The loader's time on the clock counts the start of its workers. The milliseconds are processor time of a
single process, which other programs on the machine stretch less than time on the clock.
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
"""Pictures that the single process draws."""


def main() -> None:
    """Print pictures a second and milliseconds a picture as one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=400, help="pictures for the loader")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.pictures)))


def measure(pictures: int) -> dict[str, float | int]:
    """The loader's pictures a second, and the processor's milliseconds a picture."""
    milliseconds = alone(ALONE)
    return {
        "pictures": pictures,
        "workers": WORKERS,
        "pictures_per_second": round(pictures / loading(pictures), 1),
        "milliseconds_per_picture_of_one_core": round(milliseconds, 1),
    }


def loading(pictures: int) -> float:
    """Seconds in which a loader hands out the pictures."""
    data = cast("Dataset[Sample]", Menagerie("train", pictures))
    loader = DataLoader(data, batch_size=10, num_workers=WORKERS, collate_fn=list)
    began = time.perf_counter()
    handed = sum(len(batch) for batch in loader)
    seconds = time.perf_counter() - began
    if handed != pictures:
        raise RuntimeError(f"the loader handed out {handed} of {pictures} pictures")
    return seconds


def alone(pictures: int) -> float:
    """Milliseconds of processor time that a picture takes in this process."""
    data = Menagerie("train", pictures + 1)
    _ = data[pictures]
    began = time.process_time()
    for index in range(pictures):
        _ = data[index]
    return 1000 * (time.process_time() - began) / pictures


if __name__ == "__main__":
    main()
