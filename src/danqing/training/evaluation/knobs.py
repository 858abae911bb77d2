"""What guidance, steps and a negative prompt do to a picture, laid out to be looked at. Counts nothing."""

from PIL import Image
from tqdm import tqdm

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation.detector import Detector
from danqing.training.evaluation.drawing import Pixels, draw, for_detector
from danqing.training.evaluation.negative_prompts import open_prompts
from danqing.training.evaluation.sheet import sheet
from danqing.training.evaluation.showcase import DOCUMENTED

GUIDANCE_SCALES = (1.0, 3.0, 5.0, 7.5, 12.0)
STEPS = (8, 16, 28, 50)
PROMPTS = (DOCUMENTED, "A horse and a pumpkin in front of a sunset over the sea.")
NUM_NEGATIVE_CASES = 6
# Of which as many are taken as have something to remove.
NUM_NEGATIVE_TRIES = 12
CELL_PX = (400, 240)


def guidance_and_steps(pipeline: Pipeline) -> Image.Image:
    """A column for each guidance scale, a row for each prompt and number of steps."""
    pictures = [
        (
            f"guidance {scale:g}, {num_steps} steps: {prompt}",
            draw(pipeline, prompt, num_steps=num_steps, guidance_scale=scale),
        )
        for prompt in PROMPTS
        for num_steps in tqdm(STEPS, unit="row")
        for scale in GUIDANCE_SCALES
    ]
    return sheet(pictures, num_columns=len(GUIDANCE_SCALES), width_px=CELL_PX[0], height_px=CELL_PX[1])


def negative_strip(pipeline: Pipeline, detector: Detector) -> Image.Image:
    """Above what a prompt brings that leaves the thing open, below the same with that thing in the negative prompt."""
    without: list[tuple[str, Pixels]] = []
    with_it: list[tuple[str, Pixels]] = []
    for prompt in tqdm(open_prompts(NUM_NEGATIVE_TRIES)):
        if len(without) == NUM_NEGATIVE_CASES:
            break
        picture = draw(pipeline, prompt.text)
        found = prompt.of_kind(detector.detect(for_detector(picture)))
        if found:
            without.append((prompt.text, picture))
            with_it.append((f"negative prompt: {found[0]}", draw(pipeline, prompt.text, negative_prompt=found[0])))
    return sheet([*without, *with_it], num_columns=max(1, len(without)), width_px=CELL_PX[0], height_px=CELL_PX[1])
