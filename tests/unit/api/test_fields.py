"""Types of fields: what counts as a number, a text, a size."""

from unit.api.calls import PATH


async def test_numbers_are_json_numbers(client, body, engine):
    changes = {"num_images": 2.0, "seed": 5.0, "image_size": {"width": 64.0, "height": 80.0}, "guidance_scale": 3}
    assert (await client.post(PATH, json=body(**changes))).status_code == 200
    request = engine.requests[0]
    assert (request.num_images, request.seed, request.width_px, request.height_px) == (2, 5, 64, 80)
    assert request.guidance_scale == 3.0
