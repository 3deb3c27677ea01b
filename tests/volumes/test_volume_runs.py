"""Volumes from a folder to a trained model, its scores, its predictions and its report."""

import csv
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage
from typer.testing import CliRunner
from volume_folders import nifti_folder, save_nifti, stack_folder

from pixelwise import catalogue
from pixelwise.cli.main import app
from pixelwise.data.volumes.reading import read_volume
from pixelwise.data.volumes.volume import Volume
from pixelwise.errors import DataError, ImageError, RecipeError, SpecError, UsageError
from pixelwise.predict.predictor import Predictor
from pixelwise.reporting import write_report
from pixelwise.runs.folder import Run
from pixelwise.tasks import Segmentation, Volumes, make_task
from pixelwise.training import loop
from pixelwise.training.session import resume, train
from pixelwise.training.source import DataOptions

SIZES = [(10, 12, 14), (12, 12, 10), (9, 12, 14), (10, 12, 14), (10, 11, 13), (10, 12, 14), (11, 12, 9), (10, 12, 12)]
TINY = catalogue.spec("unet3d16").replace(widths=(4, 8))
OPTIONS = DataOptions(fractions=(0.5, 0.25, 0.25))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return nifti_folder(tmp_path_factory.mktemp("volumes"), SIZES)


def trained(folder: Path, out: Path, **settings: str) -> Run:
    return train(
        folder, TINY, task="volumes", options=OPTIONS, settings={"epochs": "3", **settings}, out=out, quiet=True,
        should_check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Run:
    return trained(folder, tmp_path_factory.mktemp("runs") / "run")


def test_what_was_open_is_settled(run: Run) -> None:
    recipe, preprocess = run.config.recipe, run.config.preprocess
    assert (recipe["normalise"], recipe["resize"], recipe["augment"], recipe["crop"]) == (
        "picture", "none", "volumes", [10, 12, 14],
    )  # fmt: skip
    assert recipe["batch_size"] == 1  # a quarter of four
    assert (preprocess["statistics"], preprocess["size"]) == ("picture", None)
    assert (run.config.task["name"], run.config.task["loss"]) == ("volumes", "ce+dice")


def test_scores_are_those_of_what_is_predicted(run: Run, folder: Path) -> None:
    scores = json.loads((run.path / "scores.json").read_text())
    predictor = Predictor.load(run.path, device="cpu")
    manifest = run.manifest
    pooled, apart = np.zeros((3, 3)), []
    for index in manifest.indices("test").tolist():
        predicted = predictor.predict(folder / manifest.paths[index]).label_map
        truth = np.asarray(nib.load(folder / manifest.masks[index]).dataobj).transpose(2, 1, 0)
        assert predicted.shape == truth.shape
        for label in range(3):
            own, other = truth == label, predicted == label
            pooled[:, label] += (own & other).sum(), own.sum(), other.sum()
            if label:
                apart.append((label, hd95(own, other, (2.0, 1.0, 1.0))))
    dice = 2 * pooled[0] / (pooled[1] + pooled[2])
    assert [one["dice"] for one in scores["classes"]] == pytest.approx(dice)
    by_name = {one["name"]: one for one in scores["scores"]}
    assert by_name["foreground_dice"]["value"] == pytest.approx(dice[1:].mean())
    assert scores["metric"] == "foreground_dice"
    accuracy = pooled[0].sum() / pooled[1].sum()
    assert by_name["voxel_accuracy"]["value"] == pytest.approx(accuracy)
    assert by_name["mean_hausdorff_95"]["unit"] == "mm"
    for label in (1, 2):
        mean = np.mean([value for one, value in apart if one == label])
        assert scores["classes"][label]["hausdorff_95"] == pytest.approx(mean)
    assert scores["classes"][0]["hausdorff_95"] is None
    assert scores["num_images"] == 2


def hd95(truth, predicted, spacing):
    """Larger of the 95th percentiles of distances between borders, by full distance transforms."""
    borders = [mask & ~ndimage.binary_erosion(mask, border_value=0) for mask in (truth, predicted)]
    if not all(border.any() for border in borders):
        return float(np.hypot.reduce(np.array(truth.shape) * spacing)) if truth.any() or predicted.any() else np.nan
    there, back = (ndimage.distance_transform_edt(~border, sampling=spacing) for border in borders)
    return max(np.percentile(back[borders[0]], 95), np.percentile(there[borders[1]], 95))


def broken_off(patch: pytest.MonkeyPatch, folder: Path, out: Path) -> None:
    """Train until the third validation, which is interrupted."""
    calls = []
    original = loop.validate

    def breaking(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    patch.setattr(loop, "validate", breaking)
    with pytest.raises(KeyboardInterrupt):
        trained(folder, out)


def test_a_run_compared_by_another_score_begins_the_comparison_anew(folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:  # as an earlier version did: with the background
        patch.setattr(Volumes, "metric", "mean_dice")
        patch.setattr(Volumes, "meter", Segmentation.meter)
        broken_off(patch, folder, tmp_path / "run")
    resumed = resume(tmp_path / "run", quiet=True)
    last = [event for event in resumed.journal if event["event"] == "epoch"][-1]["val"]["foreground_dice"]
    best = [(event["metric"], event["epoch"]) for event in resumed.journal if event["event"] == "best"]
    assert best[0] == ("mean_dice", 1)
    assert best[-1] == ("foreground_dice", 3)
    assert json.loads((resumed.path / "model" / "model.json").read_text())["card"]["validation"] == {
        "metric": "foreground_dice", "value": last,
    }  # fmt: skip


def test_the_same_bits_after_a_break(run: Run, folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        broken_off(patch, folder, tmp_path / "again")
    resumed = resume(tmp_path / "again", quiet=True)
    name = Path("model") / "weights.safetensors"
    assert (resumed.path / name).read_bytes() == (run.path / name).read_bytes()


def test_predictions_lie_where_their_volumes_lie(run: Run, folder: Path, tmp_path: Path) -> None:
    turned = np.array([[0, 0, -1.0, 10], [1, 0, 0, 3], [0, -2, 0, 7], [0, 0, 0, 1.0]])
    first = nib.load(folder / "images" / "v0.nii.gz")
    straight = Predictor.load(run.path).predict(folder / "images" / "v0.nii.gz")
    values = nib.orientations.apply_orientation(
        first.get_fdata(dtype=np.float32),
        nib.orientations.ornt_transform(*(nib.io_orientation(a) for a in (np.eye(4), turned))),
    )
    nib.save(nib.Nifti1Image(values, turned), tmp_path / "in" / "odd.nii") if (
        tmp_path / "in"
    ).mkdir() is None else None
    result = CliRunner().invoke(
        app,
        [
            "predict",
            str(run.path),
            str(tmp_path / "in"),
            "--out",
            str(tmp_path / "out"),
            "--overlays",
            "--probabilities",
        ],
    )
    assert result.exit_code == 0, result.output
    written = nib.load(tmp_path / "out" / "masks" / "odd.nii.gz")
    assert np.allclose(written.affine, turned)
    assert written.shape == values.shape
    assert np.array_equal(read_volume(tmp_path / "out" / "masks" / "odd.nii.gz").voxels[..., 0], straight.label_map)
    shares = nib.load(tmp_path / "out" / "probabilities" / "odd.nii.gz").get_fdata()
    assert np.allclose(shares.sum(-1), 1, atol=1e-5)
    assert (tmp_path / "out" / "overlays" / "odd.png").is_file()
    header, row = (line.split(",") for line in (tmp_path / "out" / "volumes.csv").read_text().splitlines())
    cells = dict(zip(header, row, strict=True))
    assert cells["mask"] == "masks/odd.nii.gz"
    assert float(cells["volume_ml(class_1)"]) == pytest.approx(int(cells["voxels(class_1)"]) * 2e-3)


@pytest.mark.slow
def test_tiles_give_what_the_whole_volume_gives(run: Run, folder: Path) -> None:
    volume = read_volume(folder / "images" / "v0.nii.gz")
    large = Volume(np.tile(volume.voxels, (2, 2, 2, 1)), volume.geometry)
    whole = Predictor.load(run.path, device="cpu").predict(large, probabilities=True)
    tiled = Predictor.load(run.path, device="cpu", tile=20).predict(large, probabilities=True)
    assert whole.notes == ()
    assert re.match(r"in \d+ tiles", tiled.notes[0])
    assert np.abs(tiled.probabilities - whole.probabilities).max() < 1e-5
    assert (tiled.label_map != whole.label_map).mean() < 1e-3  # float rounding, where two classes are as likely


def test_arrays_volumes_mirrors_and_what_is_none(run: Run, folder: Path) -> None:
    predictor = Predictor.load(run.path, device="cpu")
    volume = read_volume(folder / "images" / "v1.nii.gz")
    by_file = predictor.predict(folder / "images" / "v1.nii.gz", probabilities=True)
    by_array = predictor.predict(volume.voxels[..., 0])
    assert np.array_equal(by_file.label_map, by_array.label_map)
    assert by_file.volumes_ml is not None
    assert by_array.volumes_ml is None
    assert by_array.cells()[-1] == ""
    assert str(by_file).startswith("12 x 12 x 10 voxels: ")
    assert by_file.to_json()["spacing_mm"] == [2.0, 1.0, 1.0]
    logits = predictor.logits(volume)
    assert logits.shape == (3, 12, 12, 10)
    mirrored = Predictor.load(run.path, device="cpu", protocol="flip").predict(volume, probabilities=True)
    flipped = predictor.predict(Volume(volume.voxels[:, :, ::-1], volume.geometry), probabilities=True)
    assert np.allclose(
        mirrored.probabilities, (by_file.probabilities + flipped.probabilities[..., ::-1]) / 2, atol=1e-6
    )
    for wrong, message in (
        (np.zeros((4, 5)), "The array has the shape (4, 5). Expected (D, H, W) or (D, H, W, C)."),
        (np.zeros((4, 5, 6, 2)), "The array, 4 x 5 x 6 voxels, has 2 channels. Expected 1,"),
        (np.full((9, 9, 9), np.nan), "The array holds NaN or infinity. Expected finite values."),
        (np.zeros((9, 9, 9), complex), "The array holds complex128 values. Expected numbers."),
    ):
        with pytest.raises(ImageError, match=re.escape(message)):
            predictor.predict(wrong)
    with pytest.raises(ImageError, match=re.escape("A volume of 4 x 5 x 6 voxels. Expected 12 x 12 x 10")):
        by_file.overlay(np.zeros((4, 5, 6)))
    with pytest.raises(UsageError, match="The probabilities were not kept"):
        by_array.save_probabilities("x.nii.gz")


def test_the_report_shows_slices(run: Run) -> None:
    page = write_report(run.path).read_text()
    assert page.count("Slices") >= 2
    for caption in ("Truth", "Prediction", "Errors", "hausdorff", "voxels"):
        assert caption.lower() in page.lower()
    assert "Patches per second" in page
    assert "Score more volumes." in page
    assert "Not all could be drawn" not in page


def test_one_spacing_for_all(tmp_path: Path) -> None:
    root = nifti_folder(tmp_path / "d", SIZES[:6])
    for folder in ("images", "labels"):
        volume = read_volume(root / folder / "v1.nii.gz").voxels[..., 0]
        save_nifti(root / folder / "v1.nii.gz", volume, np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(DataError, match=r"have 2 different spacings: .* Bring all to one with --set spacing="):
        trained(root, tmp_path / "run")
    run = trained(root, tmp_path / "run2", spacing="2,2,2", epochs="1", crop="8")
    assert run.config.recipe["crop"] == [8, 8, 8]
    prediction = Predictor.load(run.path).predict(root / "images" / "v0.nii.gz")
    assert prediction.label_map.shape == SIZES[0]
    assert run.config.preprocess["training_spacing"] is None
    assert prediction.notes == ("brought to a spacing of 2 x 2 x 2 mm",)
    with pytest.raises(ImageError, match="does not say how far apart its voxels are"):
        Predictor.load(run.path).predict(np.zeros(SIZES[0]))


def test_volumes_of_another_spacing_are_not_predicted_silently(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run.config.preprocess["training_spacing"] == [2.0, 1.0, 1.0]
    volume = read_volume(folder / "images" / "v0.nii.gz").voxels[..., 0]
    for name, lengths in (("coarse", (3.0, 3.0, 3.0)), ("close", (1.04, 0.96, 2.0)), ("thick", (1.0, 1.0, 2.2))):
        save_nifti(tmp_path / "in" / f"{name}.nii.gz", volume, np.diag([*lengths, 1.0]))
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "in"), "--out", str(out)])
    assert result.exit_code == 0, result.output
    rows = {
        Path(row["path"]).name: row["notes"] for row in csv.DictReader((out / "volumes.csv").read_text().splitlines())
    }
    assert rows == {
        "close.nii.gz": "",
        "coarse.nii.gz": "a spacing of 3 x 3 x 3 mm, and the model was trained at 2 x 1 x 1 mm: do not rely on this; "
        "resample the volume, or train with --set spacing=2,1,1, which resamples every volume",
        "thick.nii.gz": rows["coarse.nii.gz"].replace("3 x 3 x 3", "2.2 x 1 x 1"),
    }
    told = " ".join(result.output.split())
    assert rows["coarse.nii.gz"] in told
    assert rows["thick.nii.gz"] in told


def test_stacks_from_end_to_end(tmp_path: Path) -> None:
    root = stack_folder(tmp_path / "d", SIZES[:6])
    run = trained(root, tmp_path / "run", epochs="1", normalise="data_set")
    assert json.loads((run.path / "scores.json").read_text())["scores"][-1]["unit"] == "voxels"
    result = CliRunner().invoke(app, ["predict", str(run.path), str(root / "images"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert read_volume(tmp_path / "out" / "masks" / "v1.tif").voxels.shape == (*SIZES[1], 1)


@pytest.mark.parametrize(
    ("network", "settings", "error", "message"),
    [
        ("unet16", {}, SpecError, "unet16 is a network for pictures, and the data hold volumes"),
        ("unet3d16", {"crop": "8,8"}, RecipeError, "recipe: crop=8,8. Expected depth, height and width, or one number"),
        (
            "unet3d16",
            {"crop": "4096"},
            RecipeError,
            "recipe: crop=4096,4096,4096 for volumes of at most 12 x 12 x 14 voxels. Expected patches about as large "
            "as the volumes, or smaller. Use --set crop=16,16,16, or leave crop out.",
        ),
        ("unet3d16", {"crop": "16,64,256"}, RecipeError, "recipe: crop=16,64,256 for volumes of at most 12 x 12 x 14"),
        ("unet3d16", {"size": "8"}, RecipeError, "size or resize for volumes. Expected spacing"),
        ("unet3d16", {"augment": "cells"}, UsageError, "Unknown augmentation of volumes 'cells'"),
    ],
)
def test_what_does_not_fit_volumes(folder: Path, tmp_path: Path, network, settings, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        train(folder, network, task="volumes", settings=settings, out=tmp_path / "r", quiet=True, should_check=False)


def test_the_task_of_volumes() -> None:
    assert make_task("volumes", ("a", "b")).objective == "bce+dice"
    assert make_task("volumes", ("a", "b"), binary="softmax").objective == "ce+dice"
    task = make_task("volumes", ("a", "b", "c"), loss="dice")
    assert isinstance(task, Volumes)
    assert task.objective == "dice"
    with pytest.raises(SpecError, match=re.escape("Expected (2, 3, depth, height, width)")):
        task.head_loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.uint8))
