"""LangChain's wrapper of OpenAI's image API against a server."""

import os
import warnings

warnings.simplefilter("ignore")
from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper  # noqa: E402

MODEL = "hunyuan/hunyuan-image-v3-text-to-image"
URL, KEY = os.environ["DANQING_URL"], os.environ["DANQING_API_KEY"]

for base, model in ((f"{URL}/v1", MODEL), (URL, "dall-e-3")):
    link = DallEAPIWrapper(model=model, base_url=base, api_key=KEY, size="256x256").run("a red car")
    assert link.startswith(f"{URL}/files/b/"), link
print("all as expected")
