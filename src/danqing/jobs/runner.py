"""The run of a job: expands and checks its prompt, follows the engine, checks, encodes and stores each image.

It ends with a JobResult or an error. The files that the job does not name in the end are discarded by its worker.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import aclosing
from dataclasses import replace

from danqing.engine.interface import ImageResult, Progress
from danqing.errors import ModerationBlocked, ServiceError
from danqing.jobs.image_checks import ImageChecks
from danqing.jobs.job import ImageDone, Job, JobEvent, JobImage, JobResult, StepDone
from danqing.jobs.lifecycle import missing_images_warning
from danqing.jobs.ports import JobParts
from danqing.jobs.timings import JobPart, Stopwatch
from danqing.pictures.encoding import Provenance, encode, encode_preview
from danqing.pictures.raster import blackened
from danqing.pictures.request import NO_STEP_REUSE, ImageRequest
from danqing.prompts.expander import ExpandedPrompt
from danqing.safety.verdict import ImageVerdict

logger = logging.getLogger(__name__)

Publish = Callable[[JobEvent], None]


class JobRunner:
    """One attempt at one job."""

    def __init__(self, job: Job, *, parts: JobParts, publish: Publish) -> None:
        self._job = job
        self._request = job.request
        self._parts = parts
        self._publish = publish
        # An earlier attempt may have handed out some.
        self._images = list(job.images)
        self._failures: list[ServiceError] = []
        self._warnings = list(job.warnings)
        self._safety = dict(job.safety)
        self._image_checks = ImageChecks(parts.image_check, request=job.request)
        self._expanded = ExpandedPrompt(prompt=job.request.prompt)
        self._stopwatch = Stopwatch()

    @property
    def has_images(self) -> bool:
        """Whether any image is stored."""
        return bool(self._images)

    async def run(self) -> JobResult:
        """Draw and store the images. Cancelling ends the engine's work within one step.

        An image that fails among several is left out with a warning; when none is left, its error is raised.
        """
        for image in self._images:
            self._publish(ImageDone(image=image, so_far=self._result()))
        await self._expand()
        await self._follow_engine()
        if not self._images:
            raise self._failures[0] if self._failures else ServiceError("The engine drew nothing.")
        num_images = len(self._images)
        if num_images < self._request.num_images:
            reason = "; ".join(error.message for error in self._failures)
            self._warnings.append(missing_images_warning(self._job, num_images=num_images, reason=reason))
        return self._result()

    async def discard(self, *, keep: Collection[JobImage]) -> None:
        """Delete the stored images but those to keep."""
        for image in self._images:
            if image in keep:
                continue
            try:
                await self._parts.store.delete(image.path)
            except Exception:
                # The store's clean-up deletes it when its lifetime is over.
                logger.warning("could not delete %s of job %s", image.path, self._job.id, exc_info=True)

    async def _expand(self) -> None:
        if not self._request.enable_prompt_expansion:
            return
        with self._stopwatch.timing(JobPart.EXPAND):
            expanded = await self._parts.expander.expand(self._request)
        # An earlier attempt may have had the same warning.
        if expanded.warning is not None and expanded.warning not in self._warnings:
            self._warnings.append(expanded.warning)
        switched_off = not self._request.enable_safety_checker
        for text in expanded.texts:
            if text == self._request.prompt:
                continue
            verdict = await self._parts.prompt_check.check(
                text, negative_prompt=self._request.negative_prompt, essential_only=switched_off
            )
            if not verdict.allowed:
                raise ModerationBlocked(verdict.reason)
        self._expanded = expanded

    async def _follow_engine(self) -> None:
        request = replace(
            self._request,
            prompt=self._expanded.prompt,
            preview_every_steps=self._image_checks.preview_every_steps(self._request),
        )
        # The engine draws on while finished images are checked, encoded and stored.
        async with asyncio.TaskGroup() as finishing:
            try:
                with self._stopwatch.timing(JobPart.DRAW):
                    await self._follow_events(request, finishing)
            except ServiceError as error:
                # Images that are drawn already are still finished.
                self._failures.append(error)

    async def _follow_events(self, request: ImageRequest, finishing: asyncio.TaskGroup) -> None:
        seen = {image.image_index for image in self._images}
        async with aclosing(self._parts.engine.generate(request, expansion=self._expanded.expansion)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    await self._publish_step(event)
                elif event.image_index not in seen:
                    # An engine that had to start again draws the same images again.
                    seen.add(event.image_index)
                    finishing.create_task(self._finish_image(event))

    async def _publish_step(self, progress: Progress) -> None:
        image_index, preview = progress.image_index, progress.preview
        if preview is not None and not await self._image_checks.passes_preview(preview, image_index=image_index):
            preview = None
        self._publish(
            StepDone(
                image_index=image_index,
                step=progress.step,
                num_steps=progress.num_steps,
                estimated=progress.estimated,
                preview_png=None if preview is None else await asyncio.to_thread(encode_preview, preview),
            )
        )

    async def _finish_image(self, result: ImageResult) -> None:
        try:
            with self._stopwatch.timing(JobPart.CHECK):
                verdict = await self._image_checks.check(result.raster)
            self._safety["image_check"] = verdict.checker
            with self._stopwatch.timing(JobPart.STORE):
                image = await self._store(result, verdict)
        except ServiceError as error:
            self._failures.append(error)
            return
        self._images.append(image)
        self._warnings += [warning for warning in result.warnings if warning not in self._warnings]
        self._publish(ImageDone(image=image, so_far=self._result()))

    async def _store(self, result: ImageResult, verdict: ImageVerdict) -> JobImage:
        raster = blackened(result.raster) if verdict.flagged else result.raster
        encoded = await asyncio.to_thread(
            encode,
            raster,
            output_format=self._request.output_format,
            output_compression=self._request.output_compression,
            provenance=Provenance(model=self._model, seed=result.seed),
        )
        path = await self._parts.store.put(encoded.data, content_type=encoded.content_type, extension=encoded.extension)
        return JobImage(
            image_index=result.image_index,
            seed=result.seed,
            path=path,
            width_px=raster.width_px,
            height_px=raster.height_px,
            content_type=encoded.content_type,
            flagged=verdict.flagged,
            safety_score=verdict.score,
            revised_prompt=self._revised_prompt,
        )

    @property
    def _revised_prompt(self) -> str | None:
        caption = self._expanded.caption
        return caption if caption != self._request.prompt else None

    @property
    def _engine(self) -> str:
        description, step_reuse = self._parts.engine.status().description, self._request.step_reuse
        return description if step_reuse == NO_STEP_REUSE else f"{description}, step reuse {step_reuse}"

    @property
    def _model(self) -> str:
        # Read once there is an image: a model that is still loading has a name and no description.
        return self._parts.engine.status().model

    def _result(self) -> JobResult:
        return JobResult(
            images=tuple(self._images),
            engine=self._engine,
            safety=dict(self._safety),
            warnings=tuple(self._warnings),
            expanded_prompt=self._revised_prompt,
            timings=self._stopwatch.milliseconds,
        )
