"""LiteLLM against a server: its providers `openai` and `aiml`, with base URLs as people write them."""

import base64
import os

import litellm

MODEL = "hunyuan/hunyuan-image-v3-text-to-image"
URL, KEY = os.environ["DANQING_URL"], os.environ["DANQING_API_KEY"]
SMALL = {"num_inference_steps": 2, "guidance_scale": 1}


def draw(model: str, api_base: str, **options: object) -> object:
    """Return the first image."""
    request = {"model": model, "prompt": "a red car", "api_base": api_base, "api_key": KEY, "max_retries": 0}
    return litellm.image_generation(**request, **options).data[0]


def is_png(image: object) -> bool:
    """Say whether the image's bytes are a PNG."""
    return base64.b64decode(image.b64_json).startswith(b"\x89PNG")


for base in (f"{URL}/v1", f"{URL}/v1/", URL, f"{URL}/"):
    assert "/files/b/" in draw(f"openai/{MODEL}", base, size="64x64", extra_body=SMALL).url, base
for base in (URL, f"{URL}/", f"{URL}/v1"):
    assert "/files/b/" in draw(f"aiml/{MODEL}", base, size="64x64", **SMALL).url, base
# LiteLLM takes models that it does not know for ones that refuse `response_format`.
assert is_png(draw(f"openai/{MODEL}", f"{URL}/v1", extra_body={**SMALL, "response_format": "b64_json"}))
assert is_png(draw("openai/gpt-image-1", f"{URL}/v1", size="auto", quality="auto", extra_body=SMALL))
assert "/files/b/" in draw("openai/dall-e-3", f"{URL}/v1", size="1024x1024", quality="standard", extra_body=SMALL).url

seeded = [draw(f"aiml/{MODEL}", URL, image_size="landscape_16_9", seed=7, **SMALL) for _ in range(2)]
assert all("/files/b/" in image.url for image in seeded)
assert is_png(draw(f"aiml/{MODEL}", URL, response_format="b64_json", size="64x64", **SMALL))
assert "/files/b/" in draw(f"aiml/{MODEL}", URL, response_format="url", size="auto", **SMALL).url

refusal = ""
try:
    draw(f"openai/{MODEL}", f"{URL}/v1", n=9)
except litellm.BadRequestError as error:
    refusal = str(error)
assert "n: Number must be less than or equal to 4" in refusal
print("all as expected")
