import pytest

from unsee.words import below, classes_below, counted, none_can, spelled


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (counted(0, "image"), "0 images"),
        (counted(1, "image"), "1 image"),
        (counted(2, "image"), "2 images"),
        (counted(1, "class", "classes"), "1 class"),
        (counted(2, "class", "classes"), "2 classes"),
        (below(1), "0"),
        (below(5), "0 to 4"),
        (classes_below(1), "only class 0"),
        (classes_below(2), "classes 0 to 1"),
        (none_can(1, "image", "be read"), "the only image cannot be read"),
        (none_can(3, "image", "be read"), "none of the 3 images can be read"),
        (spelled("gradient_x_input"), "gradient-x-input"),
    ],
)
def test_words(said, words):
    assert said == words
