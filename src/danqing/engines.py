"""Engines: the one that the settings name, its prompt expander, and what requests get from its checkpoint.

The server and the commands that draw without a server both start here; nothing here knows HTTP.
"""

from dataclasses import replace
from pathlib import Path

from danqing.engine.interface import Engine
from danqing.engine.local import LocalEngine
from danqing.engine.worker_options import WorkerOptions, worker_command
from danqing.hunyuan_image3.checkpoint_folder import checkpoint_name
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.facts import CheckpointFacts, read_facts
from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.pictures.request import GUIDANCE_SCALE, NO_STEP_REUSE, NUM_INFERENCE_STEPS
from danqing.pictures.vocabulary import Vocabulary
from danqing.prompts.expander import NoExpander, PromptExpander
from danqing.prompts.native import NativeExpander
from danqing.settings import Settings

# In the data folder.
KERNEL_FOLDER = "kernels"
BUNDLED_CHECKPOINT = Path(__file__).parent / "checkpoints" / "mini"


def engine_of(settings: Settings) -> Engine:
    """Return the engine that the settings name."""
    if settings.engine == "local":
        return local_engine(settings)
    if settings.engine == "ray":
        return _ray_engine(settings)
    return _upstream_engine(settings)


def _upstream_engine(settings: Settings) -> Engine:
    # Here and not above: an engine on this machine starts sooner without an HTTP client.
    from danqing.engine.upstream.engine import Upstream, UpstreamEngine

    assert settings.upstream_url is not None
    api_key = settings.upstream_api_key
    return UpstreamEngine(
        Upstream(
            base_url=str(settings.upstream_url),
            api_key=api_key.get_secret_value() if api_key else None,
            model=settings.upstream_model,
            image_timeout_seconds=settings.upstream_timeout_seconds,
        )
    )


def _ray_engine(settings: Settings) -> Engine:
    # Here and not above: its library comes with the extra `ray` alone.
    from danqing.distributed.cluster import LOCAL
    from danqing.distributed.engine import RayEngine
    from danqing.distributed.replica_plan import ReplicaPlan

    if settings.ray_address != LOCAL:
        return RayEngine(settings.ray_address)
    plan = ReplicaPlan(options=worker_options(settings), jobs_per_replica=settings.max_concurrent_jobs)
    return RayEngine(LOCAL, plan=plan)


def local_engine(settings: Settings) -> LocalEngine:
    """Return the engine of the settings' checkpoint, in a child process."""
    options = worker_options(settings)
    return LocalEngine(worker_command(options), model=checkpoint_name(options.model), checkpoint=options.model)


def worker_options(settings: Settings) -> WorkerOptions:
    """Return what the settings say about the model and its prompts."""
    return WorkerOptions(
        model=settings.model or BUNDLED_CHECKPOINT,
        device=settings.device,
        precision=settings.precision,
        device_memory=settings.device_memory,
        host_memory=settings.host_memory,
        system_prompt=settings.effective_system_prompt,
        system_prompt_text=settings.system_prompt_text,
        expansion_task=settings.expansion_task,
        kernel_folder=settings.data_folder / KERNEL_FOLDER if settings.compile else None,
    )


def prompt_expander(settings: Settings, engine: Engine) -> PromptExpander:
    """Return the expander that the settings name; `engine` is the one that would expand natively."""
    if settings.expander == "none":
        return NoExpander()
    if settings.expander == "native":
        return NativeExpander(engine.expand, timeout_seconds=settings.expander_timeout_seconds)
    # Here and not above, for the same reason.
    from danqing.prompts.remote import ChatEndpoint, RemoteExpander

    assert settings.expander_url is not None
    assert settings.expander_model is not None
    api_key = settings.expander_api_key
    return RemoteExpander(
        ChatEndpoint(
            base_url=str(settings.expander_url),
            model=settings.expander_model,
            api_key=api_key.get_secret_value() if api_key else None,
            timeout_seconds=settings.expander_timeout_seconds,
        )
    )


def request_profile(settings: Settings) -> CheckpointProfile:
    """Return what requests get; of a checkpoint on another server nothing is known but the settings."""
    if settings.engine == "upstream":
        hindrance = "the server behind this one is not asked for it"
        return _with_own_defaults(CheckpointProfile(reuse_hindrance=hindrance), settings)
    return checkpoint_profile(settings)


def checkpoint_profile(settings: Settings) -> CheckpointProfile:
    """Return what requests get from the settings' checkpoint.

    One that cannot be read gets the documented defaults here: the engine says what is wrong with it.
    """
    try:
        facts = read_facts(settings.model or BUNDLED_CHECKPOINT)
    except CheckpointError:
        return CheckpointProfile()
    return profile_of(facts, settings)


def profile_of(facts: CheckpointFacts, settings: Settings) -> CheckpointProfile:
    """Return what requests get from a checkpoint: the settings' defaults, or its own where the documented are wrong."""
    profile = CheckpointProfile(
        takes_negative_prompt=facts.takes_negative_prompt,
        expands=settings.expander == "remote" or (settings.expander == "native" and facts.expands),
        reuse_hindrance="this checkpoint is distilled and draws in few steps" if facts.distilled else "",
        vocabulary=None if facts.words is None else Vocabulary(facts.name, facts.words),
    )
    if facts.wants_own_defaults:
        profile = replace(
            profile,
            num_inference_steps=NUM_INFERENCE_STEPS.nearest(facts.defaults.num_inference_steps),
            guidance_scale=GUIDANCE_SCALE.nearest(facts.defaults.guidance_scale),
        )
    return _with_own_defaults(profile, settings)


def _with_own_defaults(profile: CheckpointProfile, settings: Settings) -> CheckpointProfile:
    return replace(
        profile,
        num_inference_steps=settings.default_steps or profile.num_inference_steps,
        guidance_scale=settings.default_guidance or profile.guidance_scale,
        step_reuse=NO_STEP_REUSE if profile.reuse_hindrance else settings.default_step_reuse,
    )
