"""/openapi.json as a whole."""


async def test_every_reference_of_the_document_can_be_followed(anonymous):
    document = (await anonymous.get("/openapi.json")).json()
    assert len(document["paths"]) > 12

    def references(part):
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                yield from references(inner)

    for reference in references(document):
        target = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]
