"""What a plan keeps where, from sizes alone."""

from dataclasses import replace

import pytest

from danqing.hunyuan_image3.errors import PlacementError
from danqing.hunyuan_image3.placement.plan import (
    DeviceMemory,
    LayerSize,
    Machine,
    ModelSize,
    Plan,
    Store,
    make_plan,
    split,
)

GB = 10**9
# 8 layers of 10 GB of experts and 1 GB beside, ends of 4 GB, 2 GB of working memory: 94 GB in all.
SIZE = ModelSize(
    layers=[LayerSize(expert_bytes=10 * GB, matrix_bytes=0, other_bytes=GB)] * 8,
    end_bytes=4 * GB,
    decoder_bytes=0,
    denoising_bytes=2 * GB,
    decoding_bytes=GB,
)


def plan(*devices_gb: int, host_gb: int = 0, name: str = "cuda", reads_disk: bool = True) -> Plan:
    devices = [DeviceMemory(name=f"{name}:{d}", memory_bytes=gb * GB) for d, gb in enumerate(devices_gb)]
    return make_plan(SIZE, Machine(devices=devices, host_bytes=host_gb * GB), reads_disk=reads_disk)


def stores(made: Plan) -> str:
    return "".join(layer.experts.value[0] for layer in made.layers).replace("d", "-")


def counts(made: Plan) -> tuple[int, int, int]:
    return made.count(Store.DEVICE), made.count(Store.HOST), made.count(Store.DISK)


def test_everything_stays_on_a_device_with_room_for_it() -> None:
    made = plan(94)
    assert counts(made) == (8, 0, 0)
    assert (made.devices[0].used_bytes, made.host_bytes_moved, made.disk_bytes_moved) == (94 * GB, 0, 0)


def test_a_byte_less_sends_experts_to_host_memory_and_makes_room_for_two_buffers() -> None:
    devices = [DeviceMemory(name="cuda:0", memory_bytes=94 * GB - 1)]
    made = make_plan(SIZE, Machine(devices=devices, host_bytes=100 * GB), reads_disk=False)
    # 14 GB beside experts, 20 GB of buffers, 5 layers.
    assert counts(made) == (5, 3, 0)
    assert made.devices[0].used_bytes == 84 * GB
    assert made.host_bytes_used == made.host_bytes_moved == 30 * GB


def test_streamed_layers_are_spread_among_those_that_stay() -> None:
    made = plan(74, host_gb=100)
    assert [layer.experts is Store.HOST for layer in made.layers] == [True, False] * 4


def test_what_host_memory_cannot_hold_stays_on_disk_and_comes_through_two_buffers_there() -> None:
    made = plan(34, host_gb=55)
    assert (counts(made), made.host_bytes_used) == ((0, 3, 5), 50 * GB)
    assert (made.host_bytes_moved, made.disk_bytes_moved) == (30 * GB, 50 * GB)


def test_a_cpu_streams_from_disk_whatever_host_memory_there_is() -> None:
    made = plan(44, host_gb=1000, name="cpu")
    assert counts(made) == (1, 0, 7)


def test_a_cap_below_one_layer_is_refused_with_both_numbers_and_the_setting() -> None:
    with pytest.raises(PlacementError, match=r"34\.0 GB on cuda:0.*may use 33\.0 GB.*DANQING_DEVICE_MEMORY"):
        plan(33, host_gb=1000)


def test_a_folder_in_another_form_cannot_stay_on_disk() -> None:
    with pytest.raises(PlacementError, match=r"80\.0 GB of weights.*host 0\.0.*danqing model convert"):
        plan(34, host_gb=0, reads_disk=False)


def test_layers_are_shared_by_bytes_and_the_ends_count_for_the_first_device() -> None:
    devices = [DeviceMemory(name=f"cuda:{d}", memory_bytes=60 * GB) for d in range(3)]
    assert split(SIZE, devices) == [range(0, 2), range(2, 5), range(5, 8)]
    made = plan(60, 60, 60)
    assert [layer.device for layer in made.layers] == ["cuda:0"] * 2 + ["cuda:1"] * 3 + ["cuda:2"] * 3
    assert [device.used_bytes for device in made.devices] == [28 * GB, 35 * GB, 35 * GB]


def test_a_larger_device_gets_more_layers() -> None:
    made = plan(80, 40)
    assert [device.num_layers for device in made.devices] == [5, 3]
    assert counts(made) == (8, 0, 0)


def test_more_devices_than_layers_leave_some_without() -> None:
    assert (
        sum(len(part) for part in split(SIZE, [DeviceMemory(name=f"cuda:{d}", memory_bytes=GB) for d in range(20)]))
        == 8
    )


# 8 layers of 10 GB of experts, 2 GB of other matrices and 1 GB beside; 6 GB for the ends and to work in.
LARGE = ModelSize(
    layers=[LayerSize(expert_bytes=10 * GB, matrix_bytes=2 * GB, other_bytes=GB)] * 8,
    end_bytes=4 * GB,
    decoder_bytes=0,
    denoising_bytes=2 * GB,
    decoding_bytes=GB,
)


def large_plan(device_gb: int, *, host_gb: int) -> Plan:
    devices = [DeviceMemory(name="cuda:0", memory_bytes=device_gb * GB)]
    return make_plan(LARGE, Machine(devices=devices, host_bytes=host_gb * GB), reads_disk=True)


def test_other_matrices_stay_while_two_buffers_of_experts_fit_beside_them() -> None:
    made = large_plan(50, host_gb=100)
    assert {layer.matrices for layer in made.layers} == {Store.DEVICE}
    assert (made.devices[0].used_bytes, made.host_bytes_moved) == (50 * GB, 80 * GB)


def test_below_that_every_matrix_is_streamed_and_host_memory_takes_other_matrices_first() -> None:
    made = large_plan(49, host_gb=60)
    assert {layer.matrices for layer in made.layers} == {Store.HOST}
    # 14 GB stay, buffers take 20 and 4 GB, and one layer's experts fit beside; the host has room
    # for two layers' more beside two buffers for those on disk.
    assert (made.devices[0].used_bytes, counts(made)) == (48 * GB, (1, 2, 5))
    assert (made.host_bytes_moved, made.disk_bytes_moved) == (36 * GB, 50 * GB)


def test_the_least_that_is_asked_for_is_what_whole_layers_need() -> None:
    with pytest.raises(PlacementError, match=r"38\.0 GB on cuda:0.*may use 37\.0 GB"):
        large_plan(37, host_gb=1000)


# The same with a decoder of 3 GB, which works in 7 GB: 92 GB of layers and ends stay for both peaks.
DECODING = replace(SIZE, decoder_bytes=3 * GB, decoding_bytes=7 * GB)


def decoding_plan(device_gb: int, *, host_gb: int = 1000, name: str = "cuda:0") -> Plan:
    devices = [DeviceMemory(name=name, memory_bytes=device_gb * GB)]
    return make_plan(DECODING, Machine(devices=devices, host_bytes=host_gb * GB), reads_disk=True)


def peaks(made: Plan) -> tuple[int, int]:
    device = made.devices[0]
    assert device.used_bytes == max(device.denoising_bytes, device.decoding_bytes)
    return device.denoising_bytes // GB, device.decoding_bytes // GB


def test_a_model_that_fits_at_both_peaks_keeps_its_decoder() -> None:
    made = decoding_plan(102)
    assert (made.decoder, counts(made), peaks(made)) == (Store.DEVICE, (8, 0, 0), (97, 102))


def test_the_decoder_takes_the_place_of_the_buffers_once_layers_are_streamed() -> None:
    made = decoding_plan(101, host_gb=43)
    # 7 layers would leave too little while the buffers are there; 6 leave 81 GB to decode beside.
    assert (made.decoder, counts(made), peaks(made)) == (Store.HOST, (6, 2, 0), (94, 82))
    # Once an image, so it is not part of what a step moves.
    assert (made.host_bytes_used, made.host_bytes_moved) == (23 * GB, 20 * GB)


def test_decoding_can_be_what_a_device_is_too_small_for() -> None:
    size = replace(DECODING, decoding_bytes=30 * GB)
    devices = [DeviceMemory(name="cuda:0", memory_bytes=44 * GB)]
    with pytest.raises(PlacementError, match=r"45\.0 GB on cuda:0: 34\.0 GB to denoise.*45\.0 GB to decode.*44\.0 GB"):
        make_plan(size, Machine(devices=devices, host_bytes=GB), reads_disk=True)
    devices = [DeviceMemory(name="cuda:0", memory_bytes=45 * GB)]
    made = make_plan(size, Machine(devices=devices, host_bytes=0), reads_disk=True)
    assert (made.decoder, peaks(made)) == (Store.DISK, (34, 45))


def test_without_the_decoder_every_layer_may_fit() -> None:
    size = replace(DECODING, decoding_bytes=GB)
    devices = [DeviceMemory(name="cpu", memory_bytes=96 * GB)]
    made = make_plan(size, Machine(devices=devices, host_bytes=96 * GB), reads_disk=False)
    assert (made.decoder, counts(made), peaks(made)) == (Store.DISK, (8, 0, 0), (94, 96))


def test_nothing_is_decoded_on_other_devices_than_the_first() -> None:
    devices = [DeviceMemory(name=f"cuda:{d}", memory_bytes=60 * GB) for d in range(2)]
    made = make_plan(DECODING, Machine(devices=devices, host_bytes=0), reads_disk=True)
    assert [device.decoding_bytes > 0 for device in made.devices] == [True, False]
