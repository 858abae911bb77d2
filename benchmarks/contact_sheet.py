"""Draw prompts with a checkpoint and lay the pictures out as one sheet: `python benchmarks/contact_sheet.py FILE`.

Nothing is selected: every picture is the first one drawn, with seed 1 and the wire's defaults. The first prompt is
the one of the API's documentation.
"""

import argparse
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

import danqing
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage

BUNDLED = Path(danqing.__path__[0]) / "checkpoints" / "mini"
PROMPTS = (
    "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses.",
    "A big dog wearing a hat in a snowy landscape.",
    "A red car on a road.",
    "A cat wearing a crown, in a room.",
    "An astronaut in outer space.",
    "An octopus underwater.",
    "A rocket on the left and an alien on the right, in space.",
    "A photo of a burger, against a blue background.",
    "Three penguins in the snow.",
    "A castle in the mountains at sunset.",
    "A fox next to a mushroom in a forest.",
    "A palm tree in the desert.",
)
CELL_WIDTH_PX, CELL_HEIGHT_PX, CAPTION_PX, MARGIN_PX = 640, 384, 64, 12
NUM_COLUMNS = 3


def draw(pipeline: Pipeline, prompt: str) -> Image.Image:
    request = TextToImage(
        prompt=prompt, width_px=1280, height_px=768, seed=1, num_inference_steps=28, guidance_scale=7.5
    )
    *_, last = pipeline.denoise(pipeline.prefill(request))
    return Image.fromarray(pipeline.decode(last.latent, width_px=1280, height_px=768))


def sheet(pictures: list[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures with their prompts below, row by row."""
    step_x, step_y = CELL_WIDTH_PX + MARGIN_PX, CELL_HEIGHT_PX + CAPTION_PX + MARGIN_PX
    num_rows = -(-len(pictures) // NUM_COLUMNS)
    page = Image.new("RGB", (NUM_COLUMNS * step_x + MARGIN_PX, num_rows * step_y + MARGIN_PX), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(size=20)
    for i, (prompt, picture) in enumerate(pictures):
        x, y = MARGIN_PX + i % NUM_COLUMNS * step_x, MARGIN_PX + i // NUM_COLUMNS * step_y
        page.paste(picture.resize((CELL_WIDTH_PX, CELL_HEIGHT_PX), Image.Resampling.LANCZOS), (x, y))
        pen.text((x + 4, y + CELL_HEIGHT_PX + 6), textwrap.fill(prompt, 62), fill="black", font=font)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--model", type=Path, default=BUNDLED, metavar="DIR")
    arguments = parser.parse_args()
    pipeline = Pipeline.load(arguments.model)
    page = sheet([(prompt, draw(pipeline, prompt)) for prompt in tqdm(PROMPTS)])
    page.save(arguments.file)
    print(f"{arguments.file}: {len(PROMPTS)} prompts, {pipeline.description}")


if __name__ == "__main__":
    main()
