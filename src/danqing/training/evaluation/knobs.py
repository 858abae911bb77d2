"""What guidance, steps and a negative prompt do to a picture, laid out to be looked at. Judges nothing."""

from PIL import Image
from tqdm import tqdm

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation.drawing import draw
from danqing.training.evaluation.negative_prompts import negative_cases
from danqing.training.evaluation.sheet import sheet
from danqing.training.evaluation.showcase import DOCUMENTED

GUIDANCE_SCALES = (1.0, 3.0, 5.0, 7.5, 12.0)
STEPS = (8, 16, 28, 50)
PROMPTS = (DOCUMENTED, "A horse and a pumpkin in front of a sunset over the sea.")
NUM_NEGATIVE_CASES = 6
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


def negative_strip(pipeline: Pipeline) -> Image.Image:
    """Above without, below with a negative prompt that names the second thing."""
    cases = negative_cases(NUM_NEGATIVE_CASES)
    without = [(case.text, draw(pipeline, case.text)) for case in tqdm(cases)]
    with_it = [
        (f"negative prompt: {case.wanted[1].noun}", draw(pipeline, case.text, negative_prompt=case.wanted[1].noun))
        for case in tqdm(cases)
    ]
    return sheet([*without, *with_it], num_columns=len(cases), width_px=CELL_PX[0], height_px=CELL_PX[1])
