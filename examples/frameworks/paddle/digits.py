"""PaddlePaddle on handwritten digits, as a trial in an image of its own.

`tuning_trial` is all that it knows of the study. It reports after each epoch, keeps a checkpoint from which its next
attempt goes on, and stops when it is asked to: by SIGTERM, or because its rung is reached. Without a study it trains
with the defaults.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tuning_trial

OPTIMIZERS = {"adam": paddle.optimizer.Adam, "momentum": paddle.optimizer.Momentum}


def build(width: int, dropout: float) -> nn.Layer:
    return nn.Sequential(
        nn.Conv2D(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2D(2),
        nn.Conv2D(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * 16, 10),
    )


def load(file: Path, model: nn.Layer, optimizer: paddle.optimizer.Optimizer) -> int:
    """The epoch after which the checkpoint was saved; 0 without one."""
    if not file.exists():
        return 0
    saved = paddle.load(str(file))
    model.set_state_dict(saved["model"])
    optimizer.set_state_dict(saved["optimizer"])
    tuning_trial.restore(json.loads(saved["reports"]))
    print(f"goes on after epoch {saved['epoch']}", flush=True)
    return int(saved["epoch"])


def save(file: Path, epoch: int, model: nn.Layer, optimizer: paddle.optimizer.Optimizer) -> None:
    """Written beside and renamed, so that no crash leaves half a checkpoint."""
    state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    new = file.with_suffix(".new")
    paddle.save(state | {"reports": json.dumps(tuning_trial.state())}, str(new))
    new.replace(file)


def main() -> int:
    paddle.disable_signal_handler()  # its own would end the process on SIGTERM, before a checkpoint is saved
    p = tuning_trial.parameters(lr=1e-3, optimizer="adam", width=8, dropout=0.2, batch_size=64, epochs=9)
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 1, 8, 8).astype("float32") / 16
    x, x_val, y, y_val = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    paddle.seed(0)
    model = build(p["width"], p["dropout"])
    optimizer = OPTIMIZERS[p["optimizer"]](learning_rate=p["lr"], parameters=model.parameters())
    file = tuning_trial.checkpoint_dir() / "digits.pdparams"
    epoch = load(file, model, optimizer)
    while epoch < p["epochs"]:
        order = np.random.default_rng(epoch).permutation(len(x))
        losses = []
        model.train()
        for start in range(0, len(x), p["batch_size"]):
            chosen = order[start : start + p["batch_size"]]
            loss = nn.functional.cross_entropy(model(paddle.to_tensor(x[chosen])), paddle.to_tensor(y[chosen]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            losses.append(float(loss))
        epoch += 1
        model.eval()
        with paddle.no_grad():
            scores = model(paddle.to_tensor(x_val))
            val_loss = float(nn.functional.cross_entropy(scores, paddle.to_tensor(y_val)))
        tuning_trial.report(
            epoch,
            steps=p["epochs"],
            train_loss=float(np.mean(losses)),
            val_loss=val_loss,
            val_accuracy=float((scores.numpy().argmax(1) == y_val).mean()),
        )
        if not math.isfinite(losses[-1]):
            return tuning_trial.fail("Diverged", f"the loss is {losses[-1]} in epoch {epoch}")
        save(file, epoch, model, optimizer)
        if epoch < p["epochs"] and tuning_trial.should_stop():
            return tuning_trial.exit_codes.STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
