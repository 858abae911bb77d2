"""The examples of /openapi.json, sent as they are."""

from unit.api.calls import PATH


async def test_the_examples_of_the_document_make_and_change_a_key(manager):
    paths = (await manager.get("/openapi.json")).json()["paths"]

    def example(path, method):
        return paths[path][method]["requestBody"]["content"]["application/json"]["example"]

    made = await manager.post("/v1/keys", json=example("/v1/keys", "post"))
    assert made.status_code == 200
    changed = await manager.patch(
        f"/v1/keys/{made.json()['data']['prefix']}", json=example("/v1/keys/{prefix}", "patch")
    )
    assert (changed.status_code, changed.json()["data"]["disabled"]) == (200, True)


async def test_every_example_of_a_generation_draws(client):
    document = (await client.get("/openapi.json")).json()
    content = document["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    for name, example in content["examples"].items():
        response = await client.post(PATH, json=example["value"])
        assert (name, response.status_code) == (name, 200), response.text
