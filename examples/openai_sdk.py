"""OpenAI's Python SDK: draw, watch a picture form, read an error. `pip install openai`.

DANQING_URL=http://127.0.0.1:8000 DANQING_API_KEY=... python openai_sdk.py
"""

import base64
import os
from pathlib import Path

from openai import BadRequestError, OpenAI

MODEL = "hunyuan/hunyuan-image-v3-text-to-image"

client = OpenAI(base_url=os.environ["DANQING_URL"] + "/v1", api_key=os.environ["DANQING_API_KEY"])


def draw() -> None:
    """One request, one link. Fields that OpenAI does not have go into `extra_body`."""
    response = client.images.generate(
        model=MODEL,
        prompt="A red car on a road.",
        size="1280x768",
        extra_body={"seed": 7, "negative_prompt": "clouds"},
    )
    assert response.data is not None
    print("link:", response.data[0].url)


def watch() -> None:
    """A stream: the events carry two previews, then the finished picture."""
    events = client.images.generate(model=MODEL, prompt="A brown dog on a beach.", stream=True, partial_images=2)
    for event in events:
        if event.type == "image_generation.partial_image":
            file = Path(f"preview-{event.partial_image_index + 1}.png")
        else:
            file = Path("picture.png")
        file.write_bytes(base64.b64decode(event.b64_json))
        print("wrote:", file)


def be_refused() -> None:
    """A bad field raises an exception that names it; nothing is charged."""
    try:
        client.images.generate(model=MODEL, prompt="A cat.", n=9)
    except BadRequestError as error:
        print("refused:", error.status_code, error.code, error.param)


if __name__ == "__main__":
    draw()
    watch()
    be_refused()
