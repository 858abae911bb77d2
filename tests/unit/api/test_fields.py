"""Types of fields: what counts as a number, a text, a size."""

import pytest
from unit.api.calls import PATH


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1b", "\x7f", "\x85"])
async def test_a_prompt_pasted_from_a_document_is_drawn_with_spaces_for_its_separators(client, body, engine, separator):
    texts = {"prompt": f"a red car{separator}on a road", "negative_prompt": f"fog{separator}rain"}
    assert (await client.post(PATH, json=body(**texts))).status_code == 200
    assert (engine.requests[0].prompt, engine.requests[0].negative_prompt) == ("a red car on a road", "fog rain")


async def test_numbers_are_json_numbers(client, body, engine):
    changes = {"num_images": 2.0, "seed": 5.0, "image_size": {"width": 64.0, "height": 80.0}, "guidance_scale": 3}
    assert (await client.post(PATH, json=body(**changes))).status_code == 200
    request = engine.requests[0]
    assert (request.num_images, request.seed, request.width_px, request.height_px) == (2, 5, 64, 80)
    assert request.guidance_scale == 3.0
