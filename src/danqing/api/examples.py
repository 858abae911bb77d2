"""Example requests of /openapi.json. Each works as it is on a new server; a test sends them all."""

from typing import Any

from danqing.pictures.request import MODEL_ID

T_REX = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."

GENERATION_EXAMPLES: dict[str, Any] = {
    "image": {
        "summary": "One image",
        "value": {"model": MODEL_ID, "prompt": T_REX, "image_size": "landscape_16_9"},
    },
    "choices": {
        "summary": "Every field",
        "value": {
            "model": MODEL_ID,
            "prompt": "Three penguins in the snow",
            "negative_prompt": "trees",
            "num_images": 2,
            "seed": 7,
            "image_size": {"width": 640, "height": 480},
            "num_inference_steps": 20,
            "guidance_scale": 5,
            "enable_safety_checker": True,
            "enable_prompt_expansion": True,
            "output_format": "jpeg",
            "output_compression": 85,
        },
    },
    "bytes": {
        "summary": "The bytes in the response",
        "value": {"model": MODEL_ID, "prompt": "一只猫在沙滩上", "image_size": "square_hd", "sync_mode": True},
    },
    "openai": {
        "summary": "OpenAI's names",
        "value": {"model": MODEL_ID, "prompt": "A red car on a road.", "n": 1, "size": "1024x1024"},
    },
    "stream": {
        "summary": "Server-sent events with two previews",
        "value": {"model": MODEL_ID, "prompt": "A castle in the mountains.", "stream": True, "partial_images": 2},
    },
}
NEW_KEY_EXAMPLE: dict[str, Any] = {"name": "laptop", "limit": {"retention": "month", "threshold": 20}}
KEY_PATCH_EXAMPLE: dict[str, Any] = {"name": "old laptop", "disabled": True}
