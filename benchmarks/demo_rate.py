"""The demo's learning rate, chosen on validation images: `python benchmarks/demo_rate.py`.

The demo's recipes that train are carried out at every rate with three seeds; the rate with the
highest mean accuracy on the validation images is the demo's. The test images are not looked at.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfcompress as tfc
from tfcompress import zoo
from tfcompress._backend import bridge
from tfcompress.cli._demo import RECIPES
from tfcompress.training import Fit

RATES = (None, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
SEEDS = (0, 1, 2)


def accuracies(rate: float | None, recipes: list[str]) -> list[float]:
    """Accuracy on the validation images, a recipe and seed at a time."""
    data = zoo.load_data("digits")
    validation = (data.x_val, data.y_val)
    common = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    values = []
    for seed in SEEDS:
        bridge.set_seed(seed)
        model = zoo.quantnet(input_shape=data.x_train.shape[1:], classes=10)
        train = Fit(
            data.x_train,
            data.y_train,
            epochs=15,
            early_stopping=4,
            optimizer="adam",
            validation_data=validation,
            **common,
        )
        train(model, [])
        fit = Fit(
            data.x_train,
            data.y_train,
            epochs=12,
            learning_rate=rate,
            optimizer="adam",
            validation_data=validation,
            **common,
        )
        for recipe in recipes:
            artifact = tfc.compress(
                model, recipe, fit=fit, samples=data.x_train[:200], seed=seed, progress=False
            )
            values.append(float(tfc.evaluate(artifact, *validation)))
    return values


def main() -> None:
    """Print the mean of every rate and the best one."""
    recipes = [name for name in RECIPES if "-" in name]
    means = {}
    for rate in RATES:
        values = np.array(accuracies(rate, recipes)).reshape(len(SEEDS), len(recipes))
        means[rate] = float(values.mean())
        shown = "  ".join(f"{recipe} {v:.4f}" for recipe, v in zip(recipes, values.mean(0)))
        print(f"learning_rate={rate}: mean {means[rate]:.4f}   {shown}", flush=True)
    best = max(means, key=lambda rate: means[rate])
    print(f"best on the validation images: {best}")


if __name__ == "__main__":
    main()
