"""Bodies that are no JSON, too large, or of another type."""

import gzip
import json
import zlib

import pytest
from unit.api.calls import PATH, VALID


@pytest.mark.parametrize("exponent", [30, 400, 5000, 20_000])
async def test_a_seed_of_any_length_is_folded(client, engine, exponent):
    seed = "1" + "0" * exponent
    raw = (
        f'{{"model":"hunyuan/hunyuan-image-v3-text-to-image","prompt":"x","num_inference_steps":1,'
        f'"image_size":{{"width":64,"height":64}},"seed":{seed}}}'
    )
    response = await client.post(PATH, content=raw, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.json()
    assert engine.requests[0].seed == 1 + (pow(10, exponent, 2**63 - 1) - 1) % (2**63 - 1)


async def test_a_huge_body_is_answered_and_not_cut_off(http, body):
    response = await http.post(PATH, json=body(user="x" * 10_000_000))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"prompt=fox",
    "cut short": b'{"model": ',
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "NaN": b'{"guidance_scale": NaN}',
    "Infinity": b'{"guidance_scale": -Infinity}',
    "not UTF-8": b'{"prompt": "\xff"}',
    "UTF-16": '{"prompt": "x"}'.encode("utf-16"),
    "a deep array": b"[" * 100_000 + b"]" * 100_000,
    "a deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a deep prompt": b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}",
    "a lone surrogate as a name": b'{"\\ud800": 1}',
    "an endless integer": b'{"num_images": ' + b"9" * 500_000 + b"}",
    "an endless negative integer": b'{"num_images": -' + b"9" * 500_000 + b"}",
    "an endless exponent": b'{"num_images": 1e999999}',
}


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_a_body_that_is_no_request_is_a_400(client):
    for name, content in BAD_BODIES.items():
        response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_payload"), name
        assert response.json()["error"]["data"], name


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_a_huge_body_is_a_413(client):
    content = json.dumps(VALID | {"user": "x" * 2_000_000})
    response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert "1048576" in response.json()["message"]


async def test_a_huge_body_in_chunks_is_a_413(client):
    async def chunks():
        for _ in range(30):
            yield b" " * 65_536

    response = await client.post(PATH, content=chunks(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_another_content_type_is_a_415(client):
    response = await client.post(PATH, data=VALID | {"image_size": "square"})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")


def _raw_deflate(content):
    compressing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressing.compress(content) + compressing.flush()


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("identity", bytes),
    ],
)
async def test_a_compressed_body_is_understood(client, engine, encoding, compress):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    response = await client.post(PATH, content=compress(json.dumps(VALID).encode()), headers=headers)
    assert response.status_code == 200, response.text
    assert engine.requests[0].prompt == VALID["prompt"]


@pytest.mark.usefixtures("nothing_is_drawn")
@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br"])
async def test_another_encoding_is_a_415_that_names_it_and_what_is_understood(client, encoding):
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    response = await client.post(PATH, content=b"x", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")
    assert f"'{encoding}'" in response.json()["message"]
    assert "gzip" in response.headers["accept-encoding"]


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_a_broken_compressed_body_is_a_400(client):
    whole = gzip.compress(json.dumps(VALID).encode())
    for encoding in ("gzip", "deflate"):
        for content in (b"", json.dumps(VALID).encode(), whole[:-12]):
            headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
            response = await client.post(PATH, content=content, headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_payload"), content
            assert encoding in response.json()["error"]["message"]


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_a_small_body_that_grows_beyond_the_limit_is_a_413(client):
    content = gzip.compress(b" " * 200_000_000, compresslevel=1)
    assert len(content) < 1_000_000
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = await client.post(PATH, content=content, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
