"""The list of models."""

from unit.api.calls import MODEL


async def test_models_are_listed_without_a_key_and_cached(anonymous):
    response = await anonymous.get("/v1/models")
    (model,) = response.json()["data"]
    assert (model["id"], model["object"], model["type"]) == (MODEL, "model", "openai/image-generations")
    assert model["tags"] == ["playground:image"]
    again = await anonymous.get("/v1/models", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await anonymous.get(f"/v1/models/{MODEL}")).json() == model
    assert (await anonymous.get("/v1/models/dall-e-3")).json()["error"]["code"] == "model_not_found"
