import struct
from pathlib import Path

import numpy as np
import pytest
from fake_runs import NoData, classification_scores, config, make_run, segmentation_scores, write_scores
from PIL import Image

from pixelwise import catalogue
from pixelwise.data.manifest import build_manifest
from pixelwise.reporting import facts
from pixelwise.reporting.gallery import gallery
from pixelwise.reporting.record import Record, read_record
from pixelwise.reporting.shots import PREDICTED_PIXELS


def record(manifest=None, scores=None, card=None, events=(), **changes):
    run = config(NoData(), Path("/")).to_json() | changes
    return Record(Path("runs/x"), run, tuple(events), scores, manifest, card or {}, ())


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["/usr/bin/pixelwise", "train", "my data", "--seed", "1"], "pixelwise train 'my data' --seed 1"),
        (["/x/pixelwise/__main__.py", "train", "d"], "python -m pixelwise train d"),
        (["work/fit.py"], "python fit.py"),
        ([], ""),
        (None, ""),
    ],
)
def test_the_command_is_shown_as_one_would_type_it(given, text):
    assert facts.command(record(command=given)) == text


@pytest.mark.parametrize(
    ("name", "link"),
    [("resnet18", "https://arxiv.org/abs/1512.03385"), ("lenet5", "https://doi.org/10.1109/5.726791")],
)
def test_the_paper_can_be_followed(name, link):
    view = facts.paper(record(spec=catalogue.spec(name).to_json()))
    assert view is not None
    assert view.link == link
    assert str(catalogue.spec(name).facts.paper.year) in view.text


def test_a_variant_is_not_called_the_papers():
    assert facts.paper(record(spec=catalogue.spec("lenet5").to_json())).text.startswith("Y. LeCun")
    assert facts.paper(record(spec=catalogue.spec("resnet50").to_json())).text.startswith(
        "Not in the paper, but a variant of it (torchvision's form (v1.5), with the stride in the 3x3 convolution). "
        "The paper: K. He"
    )


def test_an_own_network_has_no_paper_and_no_measure():
    assert facts.paper(record()) is None
    assert "Parameters" not in dict(facts.network_pairs(record()))
    assert "Parameters" not in dict(facts.network_pairs(record(num_classes=None)))


def test_parameters_and_multiply_adds_are_those_of_the_catalogue():
    spec = catalogue.spec("lenet5_relu")
    size = {"size": [28, 28], "channels": 1}
    pairs = dict(facts.network_pairs(record(spec=spec.to_json(), num_classes=10, preprocess=size)))
    assert pairs["Parameters"] == "61,706"
    assert pairs["Multiply-adds (MACs)"] == f"{spec.facts.macs / 1e6:,.4g} million for 28 x 28 pixels"
    without = dict(facts.network_pairs(record(spec=spec.to_json(), num_classes=10)))
    assert "Multiply-adds (MACs)" not in without


def test_initial_weights_are_told_line_by_line():
    def told(**given):
        pairs = facts.network_pairs(record(**given))
        return [(key, value) for key, value in pairs if key.startswith("Initial weights")]

    assert told() == told(init_weights=None) == told(init_weights="w.pth") == [("Initial weights", "random")]
    digest = "ab" * 32
    assert told(init_weights={
        "given": "w.pth", "path": "/far/w.pth", "sha256": digest, "adapt": ["head"], "notes": ["One.", "Two."],
        "pretraining": {"source": "torchvision", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    }) == [
        ("Initial weights", "w.pth"),
        ("Initial weights: sha256", digest),
        ("Initial weights: adapted", "One. Two."),
        ("Initial weights: pictures as for", "torchvision"),
    ]  # fmt: skip
    assert told(init_weights={"path": "/old/w.pth", "sha256": "ab", "notes": 3, "pretraining": None}) == [
        ("Initial weights", "/old/w.pth"), ("Initial weights: sha256", "ab"),
    ]  # fmt: skip


def test_the_valid_u_net_is_measured_at_the_size_that_it_takes():
    spec = catalogue.spec("unet")
    pairs = dict(
        facts.network_pairs(
            record(spec=spec.to_json(), num_classes=2, task={"name": "segmentation"}, preprocess={"size": [388, 388]})
        )
    )
    assert pairs["Parameters"] == "31,030,658"
    assert pairs["Multiply-adds (MACs)"] == "150.4 billion for 572 x 572 pixels"


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([{"event": "end", "seconds": 125.0}], "2 min 05 s"),
        (
            [
                {"event": "start", "time": "2031-05-04T13:00:00+00:00"},
                {"event": "step", "time": "2031-05-04T14:01:30+00:00"},
            ],
            "1 h 01 min",
        ),
        ([], ""),
    ],
)
def test_training_time_of_ended_and_of_other_runs(events, text):
    assert facts.training_time(record(events=events)) == text


def test_origin_names_versions_machine_and_digests_once():
    pairs = facts.origin_pairs(record(machine={"python": "3.11.9", "cpus": 2}, card={"sha256": "cd"}))
    assert len(pairs) == len(dict(pairs))
    assert dict(pairs) | {"Processor cores": "2", "Weights sha256": "cd", "Data digest": "0" * 64} == dict(pairs)
    assert facts.origin_pairs(record(data={}))[-1][0] != "Data digest"


def test_long_lists_are_cut_and_counted():
    finding = {"severity": "info", "message": "m", "fix": "", "paths": ["p"] * 25}
    errors = [{"severity": "error", "message": "e", "paths": None}] * 2
    data = {"findings": [finding] * 70 + errors, "skipped": [["a", "b"]] * 60}
    shown, left_out = facts.findings(record(data=data))
    assert [item.severity for item in shown[:3]] == ["error", "error", "info"]
    assert (len(shown), left_out) == (facts.FINDING_LIMIT, 72 - facts.FINDING_LIMIT)
    assert (len(shown[2].paths), shown[2].left_out) == (10, 15)
    files, more = facts.skipped(record(data=data))
    assert (len(files), more) == (50, 10)
    assert facts.skipped(record(data={})) == ([], 0)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_pictures_of_mixed_sizes_give_ranges(tmp_path):
    for k, (height, width) in enumerate([(10, 20), (1200, 20), (30, 25)]):
        for name in ("a", "b"):
            save(tmp_path / "train" / name / f"{k}.png", np.full((height, width), k * 40 + (name == "b"), np.uint8))
    manifest = build_manifest(tmp_path)
    pairs = dict(facts.data_pairs(record(manifest)))
    assert (pairs["Height"], pairs["Width"], pairs["Channels"]) == ("10 to 1,200 px", "20 to 25 px", "1")
    counts = facts.class_counts(record(manifest))
    assert counts is not None
    assert (counts.splits, counts.rows) == (("train",), (("a", (3,)), ("b", (3,))))
    assert facts.class_counts(record()) is None
    spec = catalogue.spec("lenet5_relu").to_json()
    assert "Multiply-adds (MACs)" not in dict(facts.network_pairs(record(manifest, spec=spec)))


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    root = tmp_path_factory.mktemp("masks")
    for k, values in enumerate([(0, 1), (0, 2), (0, 1), (0, 255)]):
        mask = np.zeros((16, 16), np.uint8)
        mask[4:9, 4:9] = values[1]
        split = "train" if k < 2 else "test"
        save(root / "images" / split / f"{k}.png", (mask * 3 + k).astype(np.uint8))
        save(root / "masks" / split / f"{k}.png", mask)
    return root, build_manifest(root, mask_kind="index", classes=("ground", "ant", "bee"))


def test_classes_of_masks_are_counted_by_the_pictures_that_show_them(masked):
    _, manifest = masked
    counts = facts.class_counts(record(manifest))
    assert counts is not None
    assert counts.rows == (("ground", (2, 2)), ("ant", (1, 1)), ("bee", (1, 0)))
    pairs = dict(facts.data_pairs(record(manifest)))
    assert (pairs["Masks: kind"], pairs["Masks: ignore"]) == ("index", "255")


def test_frames_of_a_container_are_shown_with_their_number(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    for stem in ("train", "t10k"):
        head = struct.pack(">4i", 2051, *pixels.shape)
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(head + (pixels + (stem == "train")).tobytes())
        labels = struct.pack(">2i", 2049, 6) + bytes([0, 1, 0, 1, 0, 1])
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(labels)
    manifest = build_manifest(tmp_path)
    run = make_run(tmp_path / "run", manifest, tmp_path)
    write_scores(run.path, classification_scores(manifest))
    found = gallery(read_record(run.path), 1_000_000)
    assert found is not None
    shots = [shot for _, group in found.groups for shot in group]
    assert {shot.file for shot in shots} == {f"t10k-images-idx3-ubyte [{k}]" for k in range(6)}
    assert all(shot.picture is not None for shot in shots)


def test_without_room_there_are_no_pictures_but_the_words_stay(tmp_path, masked):
    root, manifest = masked
    run = make_run(tmp_path / "run", manifest, root)
    write_scores(run.path, segmentation_scores(manifest))
    found = gallery(read_record(run.path), 5_000)
    assert found is not None
    assert found.unavailable == "There is no room for pictures: the tables fill this file."
    (run.path / "manifest.safetensors").unlink()
    found = gallery(read_record(run.path), 5_000_000)
    assert found is not None
    assert found.unavailable == "The run's manifest cannot be read, so the pictures are not known."
    assert gallery(record(), 5_000_000) is None


def test_a_sample_that_the_manifest_does_not_know_keeps_its_words(masked):
    root, manifest = masked
    sample = {"path": "elsewhere.png", "frame": -1, "score": 0.25, "truth": 1, "prediction": 2}
    scores = {"samples": [sample, sample | {"score": None}], "classes": []}
    given = record(manifest, scores, data={"root": str(root)}, task={"name": "classification"})
    found = gallery(given, 1_000_000)
    assert found is not None
    ((heading, (shot,)),) = found.groups
    assert (heading, shot.truth, shot.prediction, shot.right) == ("Worst", "ant", "bee", False)
    assert (shot.probability, shot.probability_text, shot.score_text) == (None, "unknown", "25.0\u00a0%")
    assert shot.fault == "The picture cannot be shown: The run's manifest does not know this file."


def test_a_huge_picture_is_not_segmented_again(tmp_path):
    side = int(PREDICTED_PIXELS**0.5) + 4
    for k in range(2):
        pixels = np.zeros((side, side), np.uint8)
        pixels[:99, :99] = 255
        save(tmp_path / "images" / "test" / f"{k}.png", pixels + np.uint8(k == 0))
        save(tmp_path / "masks" / "test" / f"{k}.png", pixels)
    manifest = build_manifest(tmp_path)
    run = make_run(tmp_path / "run", manifest, tmp_path)
    write_scores(run.path, segmentation_scores(manifest))
    found = gallery(read_record(run.path), 1_000_000)
    assert found is not None
    shot = found.groups[0][1][0]
    assert [caption for caption, _ in shot.panels] == ["Picture", "Truth"]
    assert "too large to be predicted once more" in shot.fault
