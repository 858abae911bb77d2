"""The default classifier: it needs no download and no torch, and tells skin from sky."""

import subprocess
import sys

from PIL import Image, ImageDraw, ImageFilter

from danqing.safety.classifier_opennsfw import OpenNsfwClassifier


def drawing(*, background, ellipses, side_px=256):
    """Blurred ellipses, each darker than the one before."""
    image = Image.new("RGB", (side_px, side_px), background)
    for index, (colour, box) in enumerate(ellipses):
        fill = tuple(round(value * (1 - 0.1 * index)) for value in colour)
        ImageDraw.Draw(image).ellipse(box, fill=fill)
    return image.filter(ImageFilter.GaussianBlur(3))


SKIN, GREEN = (224, 172, 140), (60, 140, 70)
BOXES = [(170, 15, 372, 199), (58, -15, 186, 175)]
SKIN_SHAPES = drawing(background=(205, 194, 234), ellipses=[(SKIN, box) for box in BOXES])
GREEN_SHAPES = drawing(background=(205, 194, 234), ellipses=[(GREEN, box) for box in BOXES])


def test_round_shapes_of_skin_colour_score_high_and_the_same_in_green_low():
    classifier = OpenNsfwClassifier()
    assert classifier.score(SKIN_SHAPES) > 0.7
    assert classifier.score(GREEN_SHAPES) < 0.2


def test_the_same_image_scores_the_same_at_any_time():
    classifier = OpenNsfwClassifier()
    first = classifier.score(SKIN_SHAPES)
    classifier.score(GREEN_SHAPES)
    assert classifier.score(SKIN_SHAPES) == first == OpenNsfwClassifier().score(SKIN_SHAPES)


def test_it_loads_without_torch():
    program = "import sys, danqing.safety.classifier_worker as worker; worker.load_classifier('opennsfw')\n"
    program += "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
