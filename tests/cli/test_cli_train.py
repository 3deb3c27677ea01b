"""``pixelwise train`` and ``resume``: what is announced, what the options do, what is refused in which words."""

import os
import signal

import pytest
import torch

from pixelwise.runs.folder import Run
from pixelwise.training import session
from pixelwise.training.recipe import Recipe

QUICK = ("--set", "epochs=1", "--set", "hidden=8,8", "--set", "augment=none", "--batch", "8")
NET = ("--net", "mlp_784_300_10", *QUICK)


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_data_and_the_plan_are_told_before_the_first_epoch(pixelwise, sides, tmp_path):
    torch.set_num_threads(1)
    (sides / "left" / "broken.png").write_bytes((sides / "left" / "0.png").read_bytes()[:40])
    done = pixelwise(
        "train", sides, *NET, "--out", tmp_path / "run", "--device", "cpu", "--precision", "float32", "--bad-images",
        "skip",
    )  # fmt: skip
    assert done.code == 0
    *told, epoch = done.err.splitlines()
    assert told[0] == f"Data {sides}: class-folders: 24 images of 2 classes, 28 x 28 px."
    assert told[1] == "Splits: train 19, val 3, test 2."
    assert told[2] == "Images per class: left (12), right (12)."
    assert told[3].startswith("Left out: 1 entry, first left/broken.png (")
    assert told[-6] == f"Check: no errors, 1 warning; `pixelwise check {sides}` lists all."
    assert told[-5].startswith("  ")
    assert told[-4:] == [
        "Network: mlp_784_300_10, 6,370 parameters; pictures of 1 channel, as they are.",
        "Recipe: quick, 1 epoch, batches of 8, adamw, rate 0.002 (one_cycle), loss ce, augmentation none.",
        "Device: cpu, float32, 1 thread, seed 0.",
        f"Run: {tmp_path}/run",
    ]
    assert epoch.startswith("epoch 1/1  loss ")
    assert "top1" in done.out
    assert done.out.splitlines()[-1] == f"Run: {tmp_path}/run    next: pixelwise report {tmp_path}/run"


def test_masks_their_reading_and_their_crops_are_told(pixelwise, squares, tmp_path):
    done = pixelwise(
        "train", squares, "--set", "widths=4,8", "--set", "epochs=1", "--set", "crop=16", "--set", "size=24,32",
        "--out", tmp_path / "run", "--class-weights", "1,2.5", "--ignore", "7",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "Masks are read as index." in done.err
    assert "few-samples: Only 8 samples." in done.err
    assert "pictures of 1 channel, stretched to 24 x 32 px, in random crops of 16 x 16 px." in done.err
    config = Run.open(tmp_path / "run").config
    assert config.task["class_weights"] == [1.0, 2.5]
    assert config.data["options"]["ignore"] == 7


def test_a_loss_is_recorded_as_it_was_written(pixelwise, sides, tmp_path):
    text = "0.5*ce + tversky(alpha=0.3, beta=0.7)"
    done = pixelwise("train", sides, *NET, "--out", tmp_path / "run", "--loss", text, "-q")
    assert done.code == 0, done.err
    config = Run.open(tmp_path / "run").config
    assert config.recipe["loss"] == config.task["loss"] == text
    assert Recipe.from_json({key: value for key, value in config.recipe.items() if key != "name"}).loss == text


def test_quiet_says_nothing(pixelwise, sides, tmp_path):
    done = pixelwise("train", sides, *NET, "--out", tmp_path / "run", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    again = pixelwise("resume", tmp_path / "run", "--return-memory", "-q")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_name_classes_and_grouping(pixelwise, sides, tmp_path):
    done = pixelwise(
        "train", sides, *NET, "--out", tmp_path / "run", "--name", "my sides", "--classes", "right,left",
        "--class-weights", "balanced",
    )  # fmt: skip
    assert done.code == 0, done.err
    run = Run.open(tmp_path / "run")
    assert run.name == "my sides"
    assert run.manifest.classes == ("right", "left")
    assert run.config.data["options"]["classes"] == ["right", "left"]


def test_the_same_command_goes_on_with_its_run_and_another_is_refused(pixelwise, sides, tmp_path):
    command = ("train", sides, *NET, "--out", tmp_path / "run", "--resume-existing")
    assert pixelwise(*command).code == 0
    before = (tmp_path / "run" / "run.json").stat().st_mtime_ns
    assert pixelwise(*command).code == 0
    assert (tmp_path / "run" / "run.json").stat().st_mtime_ns == before
    assert pixelwise(*command[:-1]).code == 2
    other = sides.rename(tmp_path / "other")
    sides.mkdir()
    done = pixelwise("train", other, *command[2:])
    assert done.code == 2
    assert f"settings: data.folder: {sides} -> {other}. Expected" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_resume_finishes(pixelwise, sides, tmp_path, monkeypatch, number, code):
    with monkeypatch.context() as patch:
        fit = session.fit

        def signalled(job, state):
            os.kill(os.getpid(), number)
            fit(job, state)

        patch.setattr(session, "fit", signalled)
        done = pixelwise("train", sides, *NET, "--out", tmp_path / "run")
    assert done.code == code
    cause = {2: "Ctrl-C", 15: "SIGTERM"}[number]
    then = f"`pixelwise resume {tmp_path / 'run'}` goes on from epoch 1."
    assert done.err.splitlines()[-1] == f"pixelwise: Stopped by {cause}. {then}"
    assert Run.open(tmp_path / "run").status == "interrupted"
    done = pixelwise("resume", tmp_path / "run")
    assert done.code == 0
    assert "Going on after 0 epochs and " in done.err
    assert Run.open(tmp_path / "run").status == "finished"


def test_a_run_stopped_before_its_first_checkpoint_starts_anew_to_the_same_bits(
    pixelwise, sides, tmp_path, monkeypatch
):
    assert pixelwise("train", sides, *NET, "--out", tmp_path / "whole", "-q").code == 0
    with monkeypatch.context() as patch:

        def signalled(*arguments, **keywords):
            os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr(session, "make_state", signalled)
        assert pixelwise("train", sides, *NET, "--out", tmp_path / "run", "-q").code == 143
    assert not list((tmp_path / "run").glob("checkpoints/*"))
    refused = pixelwise("resume", tmp_path / "run", "--set", "learning_rate=0.5")
    assert refused.code == 2
    assert "settings: recipe.learning_rate: 0.002 -> 0.5. Expected" in refused.err
    assert pixelwise("resume", tmp_path / "run", "-q").code == 0
    whole, resumed = (tmp_path / run / "model" / "weights.safetensors" for run in ("whole", "run"))
    assert whole.read_bytes() == resumed.read_bytes()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_device_is_refused_even_where_nothing_is_left_to_do(pixelwise, trained):
    done = pixelwise("resume", trained / "classes", "--device", "cuda")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "pixelwise: --device cuda: no usable CUDA GPU is on this machine. Use --device auto, which takes what is there,"
        " or --device cpu.\n"
    )


REFUSALS = [
    (("--batch", "0"), "--batch 0. Expected a number from 1 on, or auto. For example --batch 16."),
    (("--batch", "many"), "--batch many. Expected a number from 1 on, or auto. For example --batch 16."),
    (("--set", "epochs"), "--set epochs. Expected KEY=VALUE. For example --set epochs=20."),
    (("--set", "epochs=1", "--set", "epochs=2"), "--set epochs is given twice. Give it once."),
    (("--split", "0.8"), "--split 0.8. Expected three numbers. For example --split 0.8,0.1,0.1."),
    (
        ("--classes", "left,left"),
        "--classes left,left. Expected two or more different names, with commas. For example --classes cat,dog.",
    ),
    (
        ("--class-weights", "1,heavy"),
        "--class-weights 1,heavy. Expected balanced, enet, or one number for each class. "
        "For example --class-weights 1,2.5.",
    ),
    (
        ("--class-weights", "1,2,3"),
        "3 class weights for 2 classes. Expected one for each class. Give them in this order: left, right.",
    ),
    (
        ("--net", "lenet5_relu", "--set", "size=32"),
        "lenet5_relu cannot take images of 32 x 32 pixels. Expected 28 x 28. Leave size and crop out, or use --set"
        " image_size=32,32.",
    ),
    (
        ("--set", "augment=cats"),
        "Unknown augmentation 'cats'. Expected the name of an augmentation. Known are: cells, cifar, cifar_mirrored,"
        " digits, em, imagenet, none, objects, photographs, scenes, scenes_turned, strings, unet.",
    ),
    (
        ("--adapt", "head,input"),
        "adapt=head,input without weights. Expected weights to adapt. Give a file or a run with --weights, or leave"
        " --adapt out.",
    ),
    (("--adapt", "haed"), "adapt=haed. Expected head or input. Did you mean head?"),
    (
        ("--freeze", "head"),
        "freeze=head: mlp_784_300_10 has no stages. Expected a network of stages, such as a ResNet. Leave freeze and"
        " rate_decay out, or choose another network.",
    ),
    (("--freeze", "all"), "recipe: freeze=all. Expected none, head, or stage:N with N from 1 on. Correct the value."),
    (("--freeze", "head", "--set", "freeze=none"), "--set freeze is given twice. Give it once."),
    (("--loss", "ce", "--set", "loss=dice"), "--set loss is given twice. Give it once."),
    (
        ("--loss", "focal(gama=2)"),
        "loss 'focal(gama=2)': focal has no parameter 'gama'. Expected for example focal(gamma=2). Did you mean gamma?",
    ),
    (("--recipe", "quik"), "'quik' is not a recipe. Expected the name of a recipe. Did you mean quick?"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSALS, ids=lambda value: " ".join(value)[:40])
def test_refusals(pixelwise, sides, tmp_path, arguments, message):
    net = () if "--net" in arguments else ("--net", "mlp_784_300_10")
    done = pixelwise("train", sides, *net, *arguments, "--out", tmp_path / "run")
    assert done.code == 2
    assert done.err.splitlines()[-1] == f"pixelwise: {message}"
    assert not (tmp_path / "run").exists()


def test_numbers_out_of_range_are_refused_by_name(pixelwise, sides):
    done = pixelwise("train", sides, "--workers", "-1")
    assert done.code == 2
    assert "Invalid value for '--workers'" in done.err


def test_a_folder_that_cannot_be_written_is_exit_code_4(pixelwise, sides, tmp_path):
    (tmp_path / "file").write_text("")
    done = pixelwise("train", sides, *NET, "--out", tmp_path / "file" / "run")
    assert done.code == 4
    assert f"{tmp_path}/file/run could not be written: Not a directory" in done.err
