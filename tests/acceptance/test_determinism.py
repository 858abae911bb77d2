"""The same seed gives the same file, to the last byte, alone and under load."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

from acceptance.server import Server

BODY = {"image_size": "landscape_16_9", "num_inference_steps": 6}


def test_the_same_seed_gives_the_same_bytes_alone_and_under_load(server: Server) -> None:
    (alone,) = server.pictures(seed=7, **BODY)
    with ThreadPoolExecutor(6) as threads:
        others = [
            threads.submit(server.pictures, seed=100 + number, num_images=2, prompt=f"{number} red cars", **BODY)
            for number in range(4)
        ]
        again = [threads.submit(server.pictures, seed=7, **BODY) for _ in range(2)]
        under_load = [picture for future in again for picture in future.result()]
        different = [picture for future in others for picture in future.result()]
    assert under_load == [alone, alone]
    assert len({hashlib.sha256(picture).digest() for picture in [alone, *different]}) == 9


def test_image_i_of_a_seed_is_image_0_of_the_seed_plus_i(server: Server) -> None:
    together = server.pictures(seed=7, num_images=3, **BODY)
    for image_index, picture in enumerate(together):
        assert server.pictures(seed=7 + image_index, **BODY) == [picture]
