"""The body of a generation request: its fields with JSON schema, and the translation into an `ImageRequest`.

The schema of the described fields equals the described one. OpenAI's names stand beside them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from danqing.api.fields import (
    CustomSize,
    ImageSize,
    LimitedText,
    OneOf,
    Prompt,
    RealNumber,
    SizeText,
    WholeNumber,
)
from danqing.api.spellings import RESPONSE_FORMATS
from danqing.jobs.body_fingerprint import HASH_CHARACTERS, BodyFingerprint
from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.pictures.request import (
    GUIDANCE_SCALE,
    MAX_PROMPT_CHARACTERS,
    MODEL_ID,
    NUM_IMAGES,
    NUM_INFERENCE_STEPS,
    OUTPUT_COMPRESSION,
    OUTPUT_FORMATS,
    STEP_REUSES,
    ImageRequest,
    fold_seed,
    sample_seed,
)
from danqing.pictures.sizes import DEFAULT_PRESET, parse_size

MAX_USER_CHARACTERS = 512
MAX_URL_CHARACTERS = 2048
MAX_NUM_PARTIAL_IMAGES = 3


class GenerationBody(BaseModel):
    """The fields of a request. Unknown fields are accepted, and named in the warnings of the response.

    Defaults made by a factory do not show in the schema: the described schema states none for these fields.
    """

    model_config = ConfigDict(extra="allow", strict=True, title=MODEL_ID)

    model: Annotated[str, OneOf((MODEL_ID,))]
    prompt: Prompt = Field(
        max_length=MAX_PROMPT_CHARACTERS,
        description="The text prompt describing the content, style, or composition of the image to be generated.",
    )
    num_images: WholeNumber = Field(
        NUM_IMAGES.default,
        ge=NUM_IMAGES.least,
        le=NUM_IMAGES.most,
        json_schema_extra={"type": "number"},
        description="The number of images to generate.",
    )
    seed: WholeNumber = Field(
        default_factory=sample_seed,
        ge=1,
        description="The same seed and the same prompt given to the same version of the model will output the same"
        " image every time.",
    )
    negative_prompt: LimitedText = Field(
        default_factory=lambda: ImageRequest.negative_prompt,
        description="The description of elements to avoid in the generated image.",
    )
    image_size: ImageSize = Field(DEFAULT_PRESET, description="The size of the generated image.")
    num_inference_steps: WholeNumber = Field(
        NUM_INFERENCE_STEPS.default,
        ge=NUM_INFERENCE_STEPS.least,
        le=NUM_INFERENCE_STEPS.most,
        description="The number of inference steps to perform.",
    )
    guidance_scale: RealNumber = Field(
        GUIDANCE_SCALE.default,
        ge=GUIDANCE_SCALE.least,
        le=GUIDANCE_SCALE.most,
        description="The CFG (Classifier Free Guidance) scale is a measure of how close you want the model to stick to"
        " your prompt when looking for a related image to show you.",
    )
    enable_safety_checker: bool = Field(
        ImageRequest.enable_safety_checker, description="If set to True, the safety checker will be enabled."
    )
    sync_mode: bool = Field(
        False,
        description="If set to true, the function will wait for the image to be generated and uploaded before"
        " returning the response. This will increase the latency of the function but it allows you to get the image"
        " directly in the response without going through the CDN.",
    )
    output_format: Annotated[str, OneOf(OUTPUT_FORMATS)] = Field(
        ImageRequest.output_format, description="The format of the generated image."
    )
    enable_prompt_expansion: bool = Field(
        default_factory=lambda: ImageRequest.enable_prompt_expansion,
        description="If set to True, prompt will be upsampled with more details.",
    )

    # OpenAI's names.
    n: WholeNumber | None = Field(
        None, ge=NUM_IMAGES.least, le=NUM_IMAGES.most, description="OpenAI's name of `num_images`."
    )
    size: SizeText | None = Field(
        None, description='OpenAI\'s name of `image_size`: "WIDTHxHEIGHT", or "auto" to let the model choose.'
    )
    response_format: Annotated[str, OneOf(RESPONSE_FORMATS)] | None = Field(
        None, description="Respond with a link or with the bytes."
    )
    stream: bool | None = Field(None, description="Respond with server-sent events.")
    partial_images: WholeNumber | None = Field(
        None,
        ge=0,
        le=MAX_NUM_PARTIAL_IMAGES,
        description="How many previews of each image to send while it is drawn, when streaming.",
    )
    output_compression: WholeNumber | None = Field(
        None,
        ge=OUTPUT_COMPRESSION.least,
        le=OUTPUT_COMPRESSION.most,
        description="Quality of a JPEG: 100 is the best.",
    )
    user: Annotated[str, Field(max_length=MAX_USER_CHARACTERS)] | None = Field(
        None, description="The end user, in the caller's words; accepted and not used."
    )
    webhook_url: Annotated[str, Field(max_length=MAX_URL_CHARACTERS)] | None = Field(
        None, description="Where to send a Standard Webhooks message once the job is over."
    )
    step_reuse: Annotated[str, OneOf(STEP_REUSES)] = Field(
        ImageRequest.step_reuse,
        description="The share of the steps whose prediction is extrapolated from the two before instead of computed:"
        " faster, and a slightly different image.",
    )

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height; None lets the model choose."""
        if self.size is not None:
            return parse_size(self.size)
        if isinstance(self.image_size, CustomSize):
            return self.image_size.width, self.image_size.height
        return parse_size(self.image_size)

    def image_request(self, profile: CheckpointProfile, *, num_previews: int) -> ImageRequest:
        """Translate into the record that the service works with. Fields of the same name pass unchanged.

        Fields that the request leaves out and the profile knows take its defaults; the schema states the documented
        ones.
        """
        shared = {field.name for field in fields(ImageRequest)} & type(self).model_fields.keys()
        width_px, height_px = self.size_px or (None, None)
        values = {name: getattr(self, name) for name in shared}
        values |= {name: value for name, value in profile.defaults.items() if name not in self.model_fields_set}
        values |= {
            "num_images": self.num_images if self.n is None else self.n,
            "seed": fold_seed(self.seed),
            "width_px": width_px,
            "height_px": height_px,
            "preview_every_steps": preview_interval(values["num_inference_steps"], num_previews=num_previews),
        }
        return ImageRequest(**values)

    def fingerprint(self, profile: CheckpointProfile, *, names_format: bool) -> BodyFingerprint:
        """Return the hashes of what the body means, the same for all spellings of a request.

        `names_format` is false where the server chose `response_format`.
        """
        request = self.image_request(profile, num_previews=0)
        compression = OUTPUT_COMPRESSION.default if self.output_compression is None else self.output_compression
        effect = asdict(request) | {
            "seed": self.seed if "seed" in self.model_fields_set else None,
            "output_compression": compression if self.output_format == "jpeg" else None,
            "partial_images": self.partial_images or 0,
            "sync_mode": self.sync_mode,
            "response_format": self.response_format,
            "stream": bool(self.stream),
            "webhook_url": self.webhook_url,
        }
        # Another server may fill these in differently: after a restart with other settings, or with another checkpoint.
        filled_in = profile.defaults.keys() - self.model_fields_set
        if not names_format:
            filled_in.add("response_format")
        return BodyFingerprint(in_effect=_hash(effect), as_written=_hash(effect | dict.fromkeys(filled_in)))


def _hash(meaning: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()[:HASH_CHARACTERS]


def preview_interval(num_steps: int, *, num_previews: int) -> int:
    """Return the number of steps between previews, so that `num_previews` come evenly before the end."""
    return 0 if num_previews == 0 else max(1, num_steps // (num_previews + 1))


def request_json_schema() -> dict[str, Any]:
    """Return the JSON schema of the body, without references."""
    return GenerationBody.model_json_schema(schema_generator=_PlainSchema)


class _PlainSchema(GenerateJsonSchema):
    """JSON schemas without the titles that pydantic makes from field names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        del schema
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        """Name the limits of an optional number in JSON schema's words; pydantic keeps its own names there."""
        described = super().nullable_schema(schema)
        for option in described.get("anyOf", ()):
            for own, word in (("ge", "minimum"), ("le", "maximum")):
                if own in option:
                    option[word] = option.pop(own)
        return described
