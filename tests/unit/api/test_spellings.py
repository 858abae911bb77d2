"""Spellings: bodies as real clients write them mean the same as ours."""

import base64

import pytest
from unit.api.calls import MODEL, PATH

from danqing.api.schema import GenerationBody
from danqing.api.spellings import ModelAliases, unify
from danqing.api.validation import validate
from danqing.errors import InvalidRequest
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.tables import idempotency_keys
from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.pictures.request import MODEL_ID

SHORT = {"model": MODEL, "prompt": "a red car"}
NO_ALIASES = ModelAliases()
DOCUMENTED = CheckpointProfile()
OPTIONAL_FIELDS = [name for name, field in GenerationBody.model_fields.items() if not field.is_required()]


def fields_of(**changes):
    return validate({**SHORT, **changes}, aliases=NO_ALIASES).fields


def issues_of(**changes):
    with pytest.raises(InvalidRequest) as refused:
        validate({**SHORT, **changes}, aliases=NO_ALIASES)
    return {(".".join(issue["path"]), issue["code"]) for issue in refused.value.issues}


def test_null_is_absent_for_every_optional_field():
    assert len(OPTIONAL_FIELDS) > 15
    body = {**SHORT, **dict.fromkeys(OPTIONAL_FIELDS), "seed": 7}
    assert validate(body, aliases=NO_ALIASES).fields == fields_of(seed=7)
    for name in OPTIONAL_FIELDS:
        assert validate({**SHORT, name: None}, aliases=NO_ALIASES).warnings == (), name


def test_null_is_no_prompt():
    assert issues_of(prompt=None, model=None) == {("prompt", "invalid_type"), ("model", "invalid_type")}


def test_options_inside_extra_body_are_fields():
    nested = {"image_size": "landscape_16_9", "seed": 7, "num_inference_steps": 1, "n": None}
    valid = validate({**SHORT, "extra_body": nested}, aliases=NO_ALIASES)
    assert valid.fields == fields_of(image_size="landscape_16_9", seed=7, num_inference_steps=1)
    assert valid.warnings == ("extra_body: its options were taken as fields of the request",)


def test_an_option_that_is_both_inside_and_outside_of_extra_body_must_be_the_same():
    assert fields_of(seed=7, extra_body={"seed": 7}) == fields_of(seed=7)
    assert issues_of(seed=7, extra_body={"seed": 8}) == {("extra_body.seed", "custom")}


def test_bad_options_inside_extra_body_are_named_beside_all_others():
    assert issues_of(n=9, extra_body={"seed": 0}) == {("n", "too_big"), ("seed", "too_small")}
    assert issues_of(n=9, extra_body=[]) == {("n", "too_big"), ("extra_body", "invalid_type")}
    assert issues_of(extra_body="seed=7") == {("extra_body", "invalid_type")}


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_a_response_format_is_understood_as_output_format(response_format):
    fields = fields_of(output_format=response_format, seed=7)
    assert fields == fields_of(response_format=response_format, seed=7)
    assert fields.output_format == "png"
    assert issues_of(output_format=response_format, response_format="url" if response_format != "url" else "b64_json")


def test_image_size_takes_what_size_takes():
    assert fields_of(image_size="auto").size_px is None
    assert fields_of(image_size="1280x768").size_px == (1280, 768)
    assert fields_of(image_size="1024x1024", size="square_hd").size_px == (1024, 1024)
    assert issues_of(image_size="auto", size="64x64") == {("size", "custom")}


def test_an_alias_stands_for_the_model_and_is_named():
    aliases = ModelAliases(names={"dall-e-3"})
    valid = validate({"model": "dall-e-3", "prompt": "x"}, aliases=aliases)
    assert (valid.fields.model, valid.fields.response_format) == (MODEL_ID, "url")
    assert valid.warnings == (f"model: 'dall-e-3' stands for {MODEL_ID} here",)


@pytest.mark.parametrize("model", [{}, [], {"dall-e-3": 1}, ["dall-e-3"], 7, True])
def test_a_model_that_is_no_string_is_refused_by_name(model):
    aliases = ModelAliases(names={"dall-e-3"})
    with pytest.raises(InvalidRequest) as caught:
        validate({**SHORT, "model": model}, aliases=aliases)
    (issue,) = caught.value.issues
    assert (issue["path"], issue["code"]) == (["model"], "invalid_type")


@pytest.mark.parametrize("name", ["gpt-image-1", "gpt-image-1.5-mini", "openai/gpt-image-2", "chatgpt-image-latest"])
def test_a_client_that_reads_bytes_alone_gets_bytes(name):
    aliases = ModelAliases(names={name})
    assert unify({"model": name}, aliases=aliases).values["response_format"] == "b64_json"
    assert unify({"model": name, "response_format": "url"}, aliases=aliases).values["response_format"] == "url"


def test_a_setting_decides_the_format_where_the_request_does_not():
    aliases = ModelAliases(response_format="b64_json")
    assert unify(dict(SHORT), aliases=aliases).values["response_format"] == "b64_json"
    assert unify({**SHORT, "output_format": "url"}, aliases=aliases).values["response_format"] == "url"


def fingerprint_of(aliases=NO_ALIASES, profile=DOCUMENTED, **changes):
    body = validate({**SHORT, **changes}, aliases=aliases)
    return body.fields.fingerprint(profile, names_format=body.names_format)


ONE_REQUEST = (
    {"num_images": 2, "image_size": "square_hd"},
    {"n": 2, "size": "1024x1024", "seed": None},
    {"n": 2.0, "extra_body": {"image_size": {"width": 1024, "height": 1024}}, "user": "somebody"},
    {"n": 2, "response_format": None, "stream": None, "partial_images": None, "webhook_url": None},
    {"n": 2, "response_format": "url", "stream": False, "partial_images": 0, "output_compression": 95},
    {"n": 2, "output_format": "png", "num_inference_steps": 28, "guidance_scale": 7.5, "negative_prompt": ""},
    {
        "n": 2,
        "sync_mode": False,
        "enable_safety_checker": True,
        "enable_prompt_expansion": None,
        "output_format": "url",
    },
)
OTHER_REQUESTS = (
    {"seed": 7},
    {"prompt": "x"},
    {"sync_mode": True},
    {"stream": True},
    {"response_format": "b64_json"},
    {"num_inference_steps": 27},
    {"output_format": "jpeg"},
    {"output_format": "jpeg", "output_compression": 94},
    {"stream": True, "partial_images": 1},
)


def test_spellings_of_one_request_have_one_fingerprint():
    first, *others = (fingerprint_of(**changes) for changes in ONE_REQUEST)
    assert {other.in_effect for other in others} == {first.in_effect}


def test_a_default_spelled_out_is_the_default_of_jpeg_too():
    assert fingerprint_of(output_format="jpeg").matches(fingerprint_of(output_format="jpeg", output_compression=95))


def test_requests_for_different_things_match_in_neither_hash():
    fingerprints = [fingerprint_of(**changes) for changes in ({}, *OTHER_REQUESTS)]
    for i, one in enumerate(fingerprints):
        assert not any(one.matches(other) for other in fingerprints[:i])


def test_a_body_matches_itself_under_other_defaults_of_the_server():
    profile = CheckpointProfile(num_inference_steps=8, guidance_scale=2.5)
    aliases = ModelAliases(response_format="b64_json")
    before = fingerprint_of()
    assert before.matches(fingerprint_of(profile=profile, aliases=aliases))
    assert fingerprint_of(num_inference_steps=28, profile=profile).matches(fingerprint_of(num_inference_steps=28))
    assert not before.matches(fingerprint_of(num_inference_steps=8, profile=profile))
    assert not before.matches(fingerprint_of(num_inference_steps=30, profile=profile, aliases=aliases))


def test_a_stored_fingerprint_is_read_back_and_fits_the_column():
    stored = fingerprint_of().stored()
    assert BodyFingerprint.from_stored(stored) == fingerprint_of()
    assert len(stored) <= idempotency_keys.c.body_fingerprint.type.length


@pytest.mark.parametrize("settings", [{"model_aliases": "gpt-image-1, dall-e-3"}], indirect=True)
async def test_a_client_written_for_gpt_image_reads_its_bytes(client):
    recorded = {
        "model": "gpt-image-1",
        "prompt": "a red car",
        "n": 1,
        "background": "auto",
        "output_format": "png",
        "quality": "auto",
        "size": "auto",
    }
    response = await client.post(PATH, json=recorded)
    (image,) = response.json()["data"]
    assert base64.b64decode(image["b64_json"]).startswith(b"\x89PNG")
    assert "url" not in image
    assert (await client.get("/v1/models/dall-e-3")).json()["id"] == MODEL_ID
    url = (await client.post(PATH, json={**recorded, "model": "dall-e-3"})).json()["data"][0]["url"]
    assert "/files/b/" in url


async def test_the_same_key_with_another_spelling_is_the_same_request(client, engine):
    headers = {"Idempotency-Key": "k"}
    first = await client.post(PATH, json={**SHORT, "num_images": 2, "size": "64x64"}, headers=headers)
    again = await client.post(PATH, json={"size": "64x64", "n": 2, **SHORT, "seed": None}, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(engine.requests) == 1
