"""Sheets of pictures to look at: first prompts, the contact sheet, guidance and steps, negative prompts.

Nothing is selected: every picture is the first one drawn, with seed 1.
"""

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from danqing.hunyuan_image3.pipeline import Pipeline
from mini.judge.detector import Detector
from mini.judge.drawing import Pixels, draw, for_detector
from mini.judge.negative_prompts import open_prompts
from mini.judge.showcase import DOCUMENTED, FIRST_PROMPTS, sheet_prompts
from mini.train.recipe import GUIDANCE_SCALE, NUM_STEPS

MARGIN_PX = 10
FONT_PX = 17
LINE_PX = 21
LETTER_PX = 8.6  # The mean width of a letter.

GUIDANCE_SCALES = (1.0, 3.0, 5.0, GUIDANCE_SCALE, 12.0)
STEPS = (8, 16, NUM_STEPS, 50)
PROMPTS = (DOCUMENTED, "A horse and a pumpkin in front of a sunset over the sea.")
NUM_NEGATIVE_CASES = 6
# Only prompts whose picture shows something to remove make a case.
NUM_NEGATIVE_TRIES = 12
CELL_PX, LARGE_CELL_PX = (400, 240), (640, 384)


def sheet(
    pictures: Sequence[tuple[str, Pixels]],
    *,
    num_columns: int,
    width_px: int,
    height_px: int,
    num_lines: int = 3,
) -> Image.Image:
    """The page; every picture is fitted into `width_px` by `height_px`, its words into `num_lines`."""
    step_x, step_y = width_px + MARGIN_PX, height_px + num_lines * LINE_PX + MARGIN_PX
    num_rows = -(-len(pictures) // num_columns)
    page = Image.new("RGB", (num_columns * step_x + MARGIN_PX, num_rows * step_y + MARGIN_PX), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=FONT_PX)
    for i, (words, pixels) in enumerate(pictures):
        x, y = MARGIN_PX + i % num_columns * step_x, MARGIN_PX + i // num_columns * step_y
        picture = Image.fromarray(pixels).resize((width_px, height_px), Image.Resampling.LANCZOS)
        page.paste(picture, (x, y))
        lines = textwrap.wrap(words, int(width_px / LETTER_PX))[:num_lines]
        pen.multiline_text((x + 2, y + height_px + 3), "\n".join(lines), fill="black", font=font, spacing=3)
    return page


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
    """Above, pictures of prompts that leave the thing open; below, the same with that thing in the negative prompt."""
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


def first_prompts(pipeline: Pipeline) -> Image.Image:
    """Twelve prompts that people may try first, large."""
    width_px, height_px = LARGE_CELL_PX
    return sheet(_drawn(pipeline, FIRST_PROMPTS), num_columns=3, width_px=width_px, height_px=height_px, num_lines=2)


def contact_sheet(pipeline: Pipeline) -> Image.Image:
    """The documented example and 47 held-out prompts."""
    return sheet(_drawn(pipeline, sheet_prompts()), num_columns=6, width_px=CELL_PX[0], height_px=CELL_PX[1])


def _drawn(pipeline: Pipeline, prompts: Sequence[str]) -> list[tuple[str, Pixels]]:
    return [(prompt, draw(pipeline, prompt)) for prompt in tqdm(prompts, unit="picture")]
