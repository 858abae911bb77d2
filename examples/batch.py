"""A batch: draws a file of prompts, one per line, a few at a time, with a progress bar. `pip install httpx rich`.

    DANQING_URL=http://127.0.0.1:8000 DANQING_API_KEY=... python batch.py prompts.txt --into pictures

To resume after an interruption, run it again. Pictures that exist are skipped, and the `Idempotency-Key` keeps a prompt
that the server is still drawing from being charged twice.
"""

import argparse
import asyncio
import hashlib
import os
import sys
from pathlib import Path

import httpx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

MODEL = "hunyuan/hunyuan-image-v3-text-to-image"
GENERATIONS = "/v1/images/generations"
POLL_SECONDS = 0.5
MAX_REQUEST_ATTEMPTS = 6
UNFINISHED = ("queued", "generating")
# HTTP statuses after which the same request can succeed.
PASSING = {409, 429, 502, 503}


class Refused(Exception):
    """The server refuses this prompt for good; the message is the server's."""


async def send(client: httpx.AsyncClient, method: str, path: str, **options: object) -> httpx.Response:
    """Send one request, and retry after the delay that a busy server asks for."""
    for attempt in range(1, MAX_REQUEST_ATTEMPTS + 1):
        try:
            response = await client.request(method, path, **options)
        except httpx.TransportError:
            if attempt == MAX_REQUEST_ATTEMPTS:
                raise
            await asyncio.sleep(attempt)
            continue
        if response.status_code not in PASSING or attempt == MAX_REQUEST_ATTEMPTS:
            break
        await asyncio.sleep(float(response.headers.get("Retry-After", attempt)))
    if response.is_error:
        raise Refused(response.json()["error"]["message"])
    return response


async def draw(client: httpx.AsyncClient, prompt: str, file: Path) -> None:
    """Submit a job, poll it, download the picture."""
    body = {"model": MODEL, "prompt": prompt}
    headers = {"Prefer": "respond-async", "Idempotency-Key": f"batch-{file.stem}"}
    submitted = (await send(client, "POST", GENERATIONS, json=body, headers=headers)).json()
    while (job := (await send(client, "GET", f"{GENERATIONS}/{submitted['id']}")).json())["status"] in UNFINISHED:
        await asyncio.sleep(POLL_SECONDS)
    if job["status"] != "completed":
        raise Refused(job["error"]["message"])
    picture = await send(client, "GET", job["data"][0]["url"])
    unfinished = file.with_suffix(".part")
    unfinished.write_bytes(picture.content)
    unfinished.rename(file)


async def draw_all(prompts: list[str], *, into: Path, at_once: int) -> int:
    """Draw the missing pictures; return how many prompts failed."""
    into.mkdir(parents=True, exist_ok=True)
    free_slots = asyncio.Semaphore(at_once)
    failures = []
    columns = (TextColumn("Drawing"), BarColumn(), MofNCompleteColumn(), TextColumn("left:"), TimeRemainingColumn())
    key = {"Authorization": f"Bearer {os.environ['DANQING_API_KEY']}"}

    async def one(prompt: str) -> None:
        file = into / f"{hashlib.sha256(prompt.encode()).hexdigest()[:16]}.png"
        async with free_slots:
            try:
                if not file.exists():
                    await draw(client, prompt, file)
                bar.console.print(f"{file}  {prompt}", markup=False, soft_wrap=True)
            except (Refused, httpx.HTTPError) as error:
                failures.append(prompt)
                bar.console.print(f"failed: {prompt}: {error}", markup=False, soft_wrap=True)
        bar.advance(task)

    async with httpx.AsyncClient(base_url=os.environ["DANQING_URL"], headers=key, timeout=60) as client:
        with Progress(*columns) as bar:
            task = bar.add_task("drawing", total=len(prompts))
            await asyncio.gather(*map(one, prompts))
    return len(failures)


def main() -> None:
    """Read the command line; exit with 1 if a prompt failed."""
    parser = argparse.ArgumentParser(description="Draws a file of prompts.")
    parser.add_argument("prompts", type=Path, help="a text file with one prompt per line")
    parser.add_argument("--into", type=Path, default=Path("pictures"), help="folder for the pictures")
    parser.add_argument("--at-once", type=int, default=4, help="concurrent requests")
    arguments = parser.parse_args()
    lines = arguments.prompts.read_text(encoding="utf-8").splitlines()
    prompts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    sys.exit(asyncio.run(draw_all(prompts, into=arguments.into, at_once=arguments.at_once)) > 0)


if __name__ == "__main__":
    main()
