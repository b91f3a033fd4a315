"""TensorFlow on handwritten digits, as a trial in an image of its own: a training loop written by hand.

`tuning_trial` is all that it knows of the study. It reports after each epoch, keeps a checkpoint from which its next
attempt goes on, and stops when it is asked to: by SIGTERM, or because its rung is reached. Without a study it trains
with the defaults.
"""

import json
import math
import sys

import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import tuning_trial


def build(width: int, dropout: float) -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 1)),
            tf.keras.layers.Conv2D(width, 3, padding="same", activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Conv2D(2 * width, 3, padding="same", activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dropout(dropout),
            tf.keras.layers.Dense(10),
        ]
    )


def main() -> int:
    p = tuning_trial.parameters(lr=1e-3, optimizer="adam", width=8, dropout=0.2, batch_size=64, epochs=9)
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("float32") / 16
    x, x_val, y, y_val = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    tf.keras.utils.set_random_seed(0)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(p["batch_size"])

    model = build(p["width"], p["dropout"])
    optimizer = tf.keras.optimizers.get({"class_name": p["optimizer"], "config": {"learning_rate": p["lr"]}})
    optimizer.build(model.trainable_variables)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    epoch, reports = tf.Variable(0), tf.Variable("{}")
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=epoch, reports=reports)
    manager = tf.train.CheckpointManager(checkpoint, str(tuning_trial.checkpoint_dir()), max_to_keep=1)
    if manager.restore_or_initialize():
        tuning_trial.restore(json.loads(reports.numpy()))
        print(f"goes on after epoch {int(epoch)}", flush=True)

    while int(epoch) < p["epochs"]:
        losses = [float(step(*batch)) for batch in batches]
        epoch.assign_add(1)
        scores = model(x_val, training=False)
        tuning_trial.report(
            int(epoch),
            steps=p["epochs"],
            train_loss=sum(losses) / len(losses),
            val_loss=float(loss_of(y_val, scores)),
            val_accuracy=float((scores.numpy().argmax(1) == y_val).mean()),
        )
        if not math.isfinite(losses[-1]):
            return tuning_trial.fail("Diverged", f"the loss is {losses[-1]} in epoch {int(epoch)}")
        reports.assign(json.dumps(tuning_trial.state()))
        manager.save()
        if int(epoch) < p["epochs"] and tuning_trial.should_stop():
            return tuning_trial.exit_codes.STOPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
