"""Keras 3 on handwritten digits, as a trial in an image of its own.

`tuning_trial` is all that it knows of the study. It reports after each epoch, keeps a checkpoint from which its next
attempt goes on, and stops when it is asked to: by SIGTERM, or because its rung is reached. Without a study it trains
with the defaults. KERAS_BACKEND chooses what computes.
"""

import json
import math
import sys
from pathlib import Path

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tuning_trial


def build(lr: float, width: int, dropout: float) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(width, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(2 * width, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(lr), loss=loss, metrics=["accuracy"])
    return model


def load(directory: Path) -> tuple[int, keras.Model] | None:
    """The model with its optimizer, after the last epoch that was saved."""
    if not (directory / "state.json").exists():
        return None
    state = json.loads((directory / "state.json").read_text())
    tuning_trial.restore(state["reports"])
    print(f"goes on after epoch {state['epoch']}", flush=True)
    return state["epoch"], keras.models.load_model(directory / state["model"])


def save(directory: Path, epoch: int, model: keras.Model) -> None:
    """`state.json` names the model that counts and is replaced at once, so that no crash leaves half a checkpoint."""
    name = f"epoch-{epoch}.keras"
    model.save(directory / name)
    new = directory / "state.new"
    new.write_text(json.dumps({"epoch": epoch, "model": name, "reports": tuning_trial.state()}))
    new.replace(directory / "state.json")
    for old in directory.glob("epoch-*.keras"):
        if old.name != name:
            old.unlink()


class Trial(keras.callbacks.Callback):
    """Ties `fit` to the study."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = logs or {}
        tuning_trial.report(epoch + 1, steps=self.epochs, **values)
        if not math.isfinite(values["loss"]):
            sys.exit(tuning_trial.fail("Diverged", f"the loss is {values['loss']} in epoch {epoch + 1}"))
        save(tuning_trial.checkpoint_dir(), epoch + 1, self.model)
        if epoch + 1 < self.epochs and tuning_trial.should_stop():
            sys.exit(tuning_trial.exit_codes.STOPPED)


def main() -> None:
    p = tuning_trial.parameters(lr=1e-3, width=8, dropout=0.2, batch_size=64, epochs=9)
    images, labels = load_digits(return_X_y=True)
    x, x_val, y, y_val = train_test_split(
        images.reshape(-1, 8, 8, 1) / 16, labels, test_size=0.2, random_state=0, stratify=labels
    )
    keras.utils.set_random_seed(0)
    done, model = load(tuning_trial.checkpoint_dir()) or (0, build(p["lr"], p["width"], p["dropout"]))
    model.fit(
        x,
        y,
        batch_size=p["batch_size"],
        initial_epoch=done,
        epochs=p["epochs"],
        validation_data=(x_val, y_val),
        callbacks=[Trial(p["epochs"])],
        verbose=0,
    )


if __name__ == "__main__":
    main()
