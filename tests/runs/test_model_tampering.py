"""Whatever is done to a model's weights is refused with the reason, even where the digest was forged with it."""

import hashlib
import json
import pickle
import re
import struct

import numpy as np
import pytest
import safetensors.torch
import torch

from pixelwise.errors import PixelwiseError, WeightsError
from pixelwise.runs.model import RECORD_FILE, WEIGHTS_FILE, load_model, save_model
from small_models import rewrite, segmenter


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "model"
    save_model(folder, segmenter())
    return folder


def forge(folder, content):
    """Replace the weights, and the digest with them, as somebody would who knows of it."""
    (folder / WEIGHTS_FILE).write_bytes(content)
    rewrite(folder, sha256=hashlib.sha256(content).hexdigest())


def parts(folder):
    content = (folder / WEIGHTS_FILE).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def assemble(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# what is done to the weights (the digest is forged to match) and what is said
def truncated(folder):
    return (folder / WEIGHTS_FILE).read_bytes()[:-10]


def empty(folder):
    return b""


def header_longer_than_the_file(folder):
    return struct.pack("<Q", 10**6) + b"{}"


def header_beyond_the_cap(folder):
    header, data = parts(folder)
    return assemble(header | {"__metadata__": {"padding": "x" * (1 << 20)}}, data)


def many_entries(folder):
    header, data = parts(folder)
    empties = {f"e{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(20_000)}
    return assemble(header | empties, data)


def header_that_is_not_json(folder):
    return assemble(b"not json", b"")


def header_nested_too_deeply(folder):
    return assemble(b'{"a":' * 50_000, b"")


def header_that_is_a_list(folder):
    return assemble(b"[1, 2]", b"")


def duplicate_key(folder):
    header, data = parts(folder)
    name = next(key for key in header if key != "__metadata__")
    text = json.dumps(header)
    return assemble((text[:-1] + f', "{name}": {json.dumps(header[name])}}}').encode(), data)


def overlapping_offsets(folder):
    header, data = parts(folder)
    names = [key for key in header if key != "__metadata__"]
    same_shape = next(
        (a, b) for a in names for b in names if a != b and header[a]["shape"] == header[b]["shape"]
        and header[a]["dtype"] == header[b]["dtype"]
    )  # fmt: skip
    header[same_shape[0]]["data_offsets"] = header[same_shape[1]]["data_offsets"]
    return assemble(header, data)


def offsets_beyond_the_end(folder):
    header, data = parts(folder)
    last = max((key for key in header if key != "__metadata__"), key=lambda key: header[key]["data_offsets"][1])
    header[last]["data_offsets"][1] += 4
    return assemble(header, data)


def negative_offsets(folder):
    header, data = parts(folder)
    next(value for key, value in header.items() if key != "__metadata__")["data_offsets"][0] = -4
    return assemble(header, data)


def bytes_after_the_end(folder):
    return (folder / WEIGHTS_FILE).read_bytes() + b"more"


def unknown_dtype(folder):
    header, data = parts(folder)
    header["out.weight"]["dtype"] = "F31"
    return assemble(header, data)


def shape_that_does_not_fill_its_bytes(folder):
    header, data = parts(folder)
    header["out.weight"]["shape"] = [1, 4, 1, 2]
    return assemble(header, data)


def metadata_that_is_not_text(folder):
    header, data = parts(folder)
    return assemble(header | {"__metadata__": {"a": 1}}, data)


def a_pickle(folder):
    return pickle.dumps({"weights": [1.0]}) + bytes(100)


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (truncated, "Error while deserializing: incomplete metadata, file not fully covered"),
        (empty, "0 bytes are too few for its header: truncated, or not safetensors."),
        (header_longer_than_the_file, "10 bytes are too few for its header: truncated, or not safetensors."),
        (header_beyond_the_cap, r"its header has \d+ bytes, more than the 1048576 that are allowed."),
        (many_entries, r"its header has \d+ bytes, more than the 1048576 that are allowed."),
        (header_that_is_not_json, "its header is not valid: "),
        (header_nested_too_deeply, "its header is not valid: "),
        (header_that_is_a_list, "its header is not a table of tensors."),
        (duplicate_key, "its header is not valid: a key stands twice."),
        (overlapping_offsets, "Error while deserializing: invalid offset for tensor `"),
        (offsets_beyond_the_end, "Error while deserializing: invalid shape, data type, or offset for tensor"),
        (negative_offsets, "Error while deserializing: invalid JSON in header: invalid value: integer `-4`"),
        (bytes_after_the_end, "Error while deserializing: incomplete metadata, file not fully covered"),
        (unknown_dtype, "Error while deserializing: invalid JSON in header: unknown variant `F31`"),
        (
            shape_that_does_not_fill_its_bytes,
            "Error while deserializing: invalid shape, data type, or offset for tensor",
        ),
        (metadata_that_is_not_text, "its header is not a table of tensors."),
        (a_pickle, "137 bytes are too few for its header: truncated, or not safetensors."),
    ],
)
def test_tampered_weights_are_refused(saved, tamper, why):
    forge(saved, tamper(saved))
    with pytest.raises(WeightsError, match=f"^{re.escape(str(saved / WEIGHTS_FILE))} is damaged: (?:{why})") as caught:
        load_model(saved)
    assert str(caught.value).endswith("Expected an unchanged safetensors file. Take a fresh copy.")


def test_one_flipped_bit_of_the_weights_is_found(saved):
    path = saved / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{path} is damaged: its sha256 is not the recorded one. Expected an unchanged safetensors file. "
        "Take a fresh copy."
    )


def change_tensors(folder, change):
    tensors = safetensors.torch.load((folder / WEIGHTS_FILE).read_bytes())
    change(tensors)
    forge(folder, safetensors.torch.save(tensors))


def halve(tensors):
    tensors["out.weight"] = tensors["out.weight"].half()


def reshape(tensors):
    tensors["out.weight"] = torch.zeros(2, 4, 1, 1)


def remove(tensors):
    del tensors["out.bias"]


def add(tensors):
    tensors["backdoor.weight"] = torch.zeros(3)


def rename_all(tensors):
    for name in list(tensors):
        tensors["module." + name] = tensors.pop(name)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (halve, "out.weight is float16 1 x 4 x 1 x 1 instead of float32 1 x 4 x 1 x 1"),
        (reshape, "out.weight is float32 2 x 4 x 1 x 1 instead of float32 1 x 4 x 1 x 1"),
        (remove, "out.bias is missing"),
        (add, "backdoor.weight is not in the network"),
    ],
)
def test_weights_of_another_network_are_refused(saved, change, fault):
    number = len(load_model(saved).network.state_dict())
    change_tensors(saved, change)
    with pytest.raises(WeightsError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{saved / WEIGHTS_FILE} does not belong to unet16: {fault}. Expected the {number} tensors of the network in "
        "model.json. Take both files from the same model folder."
    )


def test_of_many_differences_the_first_are_named(saved):
    number = len(load_model(saved).network.state_dict())
    change_tensors(saved, rename_all)
    with pytest.raises(WeightsError, match=rf"(\S+ is missing; ){{4}}and {2 * number - 4} more"):
        load_model(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(saved, value):
    change_tensors(saved, lambda tensors: tensors["out.weight"].view(-1)[:1].fill_(value))
    with pytest.raises(WeightsError) as caught:
        load_model(saved)
    assert str(caught.value) == (
        f"{saved / WEIGHTS_FILE}: out.weight holds NaN or infinity. Expected finite numbers. "
        "Take an earlier model or train anew."
    )


def test_random_bytes_in_place_of_either_file(saved):
    generator = np.random.default_rng(0)
    whole = (saved / WEIGHTS_FILE).read_bytes()
    for _ in range(150):
        content = bytearray(whole)
        for place in generator.integers(0, min(len(content), 3000), 3):
            content[place] = generator.integers(256)
        forge(saved, bytes(content))
        try:
            load_model(saved)
        except PixelwiseError:
            continue
    record = (saved / RECORD_FILE).read_bytes()
    for _ in range(150):
        content = bytearray(record)
        for place in generator.integers(0, len(content), 2):
            content[place] = generator.integers(256)
        (saved / RECORD_FILE).write_bytes(content)
        try:
            load_model(saved)
        except PixelwiseError:
            continue
