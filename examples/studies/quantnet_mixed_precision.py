"""QuantNET by significance: the thesis' tables 4.6, 4.7 and 4.8 beside what is measured here, and
the sizes of the packed files.

    python examples/studies/quantnet_mixed_precision.py --seeds 5 \\
        --data folder/with/cifar10.npz --out quantnet/

Source: CIFAR-10 cat vs dog; target: horse vs frog, by transfer. Every (table, row, domain,
activations, seed) is one line of mixed.jsonl in the output folder; run again and only what is
missing is done. Networks and the rows of table 4.8 that need no mixed precision are shared with
quantnet_cifar10.py where that was run with the same --out. Accuracies are of the .tflite files on
the 2,400 test images; sizes are bytes on disk.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import tfcompress as tfc
from tfcompress import zoo
from tfcompress.analysis import PCADimension, TwoNN, weight_bits
from tfcompress.targets import Packed
from tfcompress.techniques import FineTune, MixedPrecision
from tfcompress.training import Fit

DOMAINS = {"source": ("cat", "dog"), "target": ("horse", "frog")}
LAYERS = ("image", "conv1", "conv2", "linear1", "linear2")
PRINTED_46 = {  # column → domain → dimensions of LAYERS in table 4.6
    "PCA": {"source": (2, 13, 48, 31, 1), "target": (2, 14, 49, 31, 1)},
    "TwoNN": {
        "source": (25.61, 33.19, 49.48, 23.76, 0.98),
        "target": (27.57, 36.85, 52.10, 23.78, 0.84),
    },
    "TwoNN*": {
        "source": (4.15, 6.72, 5.25, 19.54, 0.82),
        "target": (3.95, 6.45, 5.28, 15.35, 1.20),
    },
}
COLUMNS = {
    "PCA": (PCADimension(), "channels"),
    "TwoNN": (TwoNN(), "flatten"),
    "TwoNN*": (TwoNN(), "channels"),
}
ROWS_47 = {  # row → bits, printed accuracy (source, target), printed reduction
    "full full full full": ({}, 66.00, 92.30, 1),
    "full bin bin bin (xnor)": ({"conv2": 1, "linear1": 1, "linear2": 1}, 64.20, 90.55, 30.42),
    "bin full full full": ({"conv1": 1}, 62.60, 89.55, 1.01),
    "full bin full full": ({"conv2": 1}, 65.60, 91.85, 1.03),
    "full full bin full": ({"linear1": 1}, 65.00, 91.35, 14.4),
    "full bin 2-bit 2-bit (TwoNN)": ({"conv2": 1, "linear1": 2, "linear2": 2}, 65.80, 91.60, 15.87),
}
ROWS_48 = {  # row → printed accuracy, printed MiB; the first four are of quantnet_cifar10.py
    "base": (66.00, 2.0852),
    "PTQ on QAT": (65.80, 0.5278),
    "cluster16 PTQ on QAT": (65.60, 0.1922),
    "cluster16 cluster-preserving QAT int8": (65.85, 0.2394),
    "full bin 2-bit 2-bit (TwoNN)": (65.80, 0.1321),
    "twonn-cluster-cqat": (65.95, 0.1625),
}
MIXED = "full bin 2-bit 2-bit (TwoNN)"


class Domain:
    """Data and base network of one domain and seed."""

    def __init__(self, name: str, seed: int, args: argparse.Namespace):
        self.name, self.seed, self.args = name, seed, args
        self.data = zoo.load_data("cifar10", args.data, classes=DOMAINS[name], seed=seed)

    def fit(self, rate: float, epochs: int, patience: int = 2) -> Fit:
        """A trainer on this domain."""
        import keras

        d = self.data
        stops = {
            "epochs": epochs,
            "early_stopping": patience,
            "validation_data": (d.x_val, d.y_val),
        }
        settings = {
            "optimizer": keras.optimizers.Adam(rate),
            "loss": "binary_crossentropy",
            "metrics": ["accuracy"],
        }
        return Fit(d.x_train, d.y_train, batch_size=64, seed=self.seed, **stops, **settings)

    def base(self):
        """Trained as the thesis says (Adam 1e-3, at most 100 epochs, early stopping); the target's
        starts from the source's."""
        import keras

        path = (
            self.args.out / f"{'base' if self.name == 'source' else 'target'}-seed{self.seed}.keras"
        )
        if path.exists():
            return tfc.load_model(path)
        if self.name == "source":
            keras.utils.set_random_seed(self.seed)
            model = zoo.quantnet(compile=True)
        else:
            model = Domain("source", self.seed, self.args).base()
        self.fit(1e-3, 100, 5)(model)
        model.save(path)
        return model

    def recipe(self, row: str, activations: str | None, prefer: str = "speed") -> tfc.Recipe:
        """The row as a recipe; the full row is the base trained on as long, its fair comparison."""
        bits = ROWS_47[row][0]
        made = MixedPrecision(bits, activations=activations) if bits else FineTune()
        return tfc.Recipe([made], Packed(prefer=prefer), name=row)

    def make(self, recipe: tfc.Recipe | str) -> tfc.Artifact:
        """The recipe carried out on this domain's base."""
        on_levels = not isinstance(recipe, str) and getattr(
            recipe.techniques[0], "activations", None
        )
        fit = self.fit(self.args.rate / 10 if on_levels else self.args.rate, self.args.epochs)
        return tfc.compress(
            self.base(), recipe, fit=fit, samples=self.data.x_train[:2000], seed=self.seed
        )

    def measured(self, artifact: tfc.Artifact) -> dict:
        """Accuracy of file and of simulation on the test images, bytes, and what each layer
        holds."""
        d = self.data
        simulated = artifact.model.predict(d.x_test, batch_size=256, verbose=0).reshape(-1) > 0.5
        return {
            "accuracy": 100 * tfc.evaluate(artifact, d.x_test, d.y_test),
            "simulated": 100 * float(np.mean(simulated == d.y_test)),
            "size_bytes": artifact.size_bytes,
            "gzip_bytes": len(gzip.compress(artifact.data, 9, mtime=0)),
            "layers": [
                (layer.name, layer.encoding, layer.levels, layer.bytes)
                for layer in tfc.packed_layers(artifact.data)
            ],
        }


Key = tuple[str, str, str, str | None, int]  # table, row, domain, activations, seed


def plan(seeds: int) -> Iterator[Key]:
    """Every line to be made; what matters most first, seed by seed."""
    with_levels = [row for row, (bits, *_) in ROWS_47.items() if bits]
    for seed in range(seeds):
        yield from lines_of("4.7", ["base", *ROWS_47], None, seed)
        yield "4.8", "twonn-cluster-cqat", "source", None, seed
    yield "sizes", "prefer size", "source", None, 0
    yield "by epoch", "TwoNN", "source", None, 0
    for seed in range(seeds):
        yield from lines_of("4.6", list(COLUMNS), None, seed)
    for seed in range(seeds):
        yield from lines_of("4.7", with_levels, "same", seed)


def lines_of(table: str, rows: list[str], activations: str | None, seed: int) -> Iterator[Key]:
    """The lines of a table's rows in every domain, one domain after the other."""
    for domain in DOMAINS:
        for row in rows:
            yield table, row, domain, activations, seed


def carry_out(table: str, row: str, domain: Domain, activations: str | None) -> dict:
    """One line's results."""
    if table == "4.6":
        by, view = COLUMNS[row]
        scores = tfc.significance(
            domain.base(), domain.data.x_train[:2000], by=by, view=view, progress=False
        )
        return {
            "dimension": scores.details["dimension"],
            "difference": scores.details["difference"],
        }
    if table == "by epoch":
        return by_epoch(domain, 10)
    if row == "base":
        return domain.measured(tfc.convert(domain.base(), "float32"))
    # The sizes of the smallest files: the 2/1-bit network and the binary one, preferring size.
    if table == "sizes":
        found = {}
        for name in (MIXED, "full bin bin bin (xnor)"):
            artifact = domain.make(domain.recipe(name, None, "size"))
            found[name] = domain.measured(artifact)
        return found
    if table == "4.8":
        artifact = domain.make(row)
        return domain.measured(artifact) | {"decided": artifact.recipe.to_dict()["techniques"]}
    artifact = domain.make(domain.recipe(row, activations))
    (
        domain.args.out
        / f"{row.replace(' ', '-')}-{domain.name}-{activations or 'float'}-seed{domain.seed}.tflite"
    ).write_bytes(artifact.data)
    return domain.measured(artifact)


def by_epoch(domain: Domain, epochs: int) -> dict:
    """Dimension of every layer (TwoNN, flatten) and validation accuracy before training and after
    each epoch."""
    import keras

    keras.utils.set_random_seed(domain.seed)
    model, d, found = zoo.quantnet(compile=True), domain.data, []
    for _ in range(epochs + 1):
        scores = tfc.significance(model, d.x_train[:2000], progress=False)
        accuracy = 100 * model.evaluate(d.x_val, d.y_val, batch_size=256, verbose=0)[1]
        found.append({"accuracy": accuracy, "dimension": scores.details["dimension"]})
        Fit(d.x_train, d.y_train, epochs=1, batch_size=64)(model)
    return {"epochs": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, 0, 1, …")
    parser.add_argument(
        "--data",
        type=Path,
        help="folder with cifar10.npz (default: TFCOMPRESS_DATA, else Keras downloads it)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("quantnet"), help="where models, files and mixed.jsonl go"
    )
    parser.add_argument(
        "--epochs", type=int, default=5, help="most epochs of every fine-tuning (it stops early)"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=1e-3,
        help="its learning rate; a tenth of it where activations are on levels, "
        "which at 1e-3 never leaves chance",
    )
    parser.add_argument(
        "--table", action="store_true", help="print the tables of what is there, run nothing"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = args.out / "mixed.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {tuple(line["key"]) for line in lines}
    domains: dict[tuple[str, int], Domain] = {}
    for key in [] if args.table else plan(args.seeds):
        if key in done:
            continue
        start = time.perf_counter()
        table, row, domain, activations, seed = key
        try:
            if (domain, seed) not in domains:
                domains = {(name, seed): Domain(name, seed, args) for name in DOMAINS}
            line = {"key": key} | carry_out(table, row, domains[domain, seed], activations)
        except tfc.TfcompressError as error:
            print(json.dumps({"key": key, "error": str(error).splitlines()[0]}), flush=True)
            continue
        line["seconds"] = round(time.perf_counter() - start, 1)
        lines.append(json.loads(json.dumps(line)))
        print(
            " ".join(map(str, key)),
            line.get("accuracy", ""),
            line.get("size_bytes", ""),
            f"{line['seconds']} s",
            flush=True,
        )
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
    others = args.out / "rows.jsonl"
    rows = [json.loads(line) for line in others.read_text().splitlines()] if others.exists() else []
    print(
        "\n".join(
            [
                table_46(lines),
                epochs_table(lines),
                table_47(lines),
                table_48(lines, rows),
                sizes(lines),
            ]
        )
    )


def table_46(lines: list[dict]) -> str:
    """Dimension by layer: printed → here, mean ± standard deviation over seeds, and the difference
    to the layer's input."""
    out = [
        "",
        "## Table 4.6: dimension by layer, printed → here (difference to what the layer is given)",
        "",
    ]
    out += [
        "| layer | " + " | ".join(f"{c} {d}" for d in DOMAINS for c in COLUMNS) + " |",
        "|---|" + "--:|" * 6,
    ]
    for place, layer in enumerate(LAYERS):
        cells = []
        for domain in DOMAINS:
            for column in COLUMNS:
                mine = [line for line in lines if line["key"][:3] == ["4.6", column, domain]]
                step = spread(
                    [line["difference"][layer] for line in mine if layer in line["difference"]], 1
                )
                value = spread([line["dimension"][layer] for line in mine], 1)
                cells.append(
                    f"{PRINTED_46[column][domain][place]:g} → {value}"
                    + (f" ({step})" if step != "–" else "")
                )
        out.append(f"| {layer} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def epochs_table(lines: list[dict]) -> str:
    """How the dimensions of table 4.6 move while the network trains."""
    found = next((line["epochs"] for line in lines if line["key"][0] == "by epoch"), [])
    out = [
        "",
        "### The same while training (source, TwoNN, seed 0)",
        "",
        "| epochs | validation % | " + " | ".join(LAYERS) + " |",
    ]
    out.append("|--:|" + "--:|" * (len(LAYERS) + 1))
    for epoch, one in enumerate(found):
        out.append(
            f"| {epoch} | {one['accuracy']:.2f} | "
            + " | ".join(f"{one['dimension'][layer]:.1f}" for layer in LAYERS)
            + " |"
        )
    return "\n".join(out)


def table_47(lines: list[dict]) -> str:
    """Accuracy by row and domain, activations float and on the layers' bits; the computed
    reduction."""
    model = zoo.quantnet()
    out = ["", "## Table 4.7: accuracy in per cent, printed → here", ""]
    columns = [(domain, activations) for activations in (None, "same") for domain in DOMAINS]
    heads = [f"{domain}, activations {activations or 'float'}" for domain, activations in columns]
    out += [
        "| conv1 conv2 linear1 linear2 | "
        + " | ".join(heads)
        + " | reduction, printed → computed | file bytes |"
    ]
    out += ["|---|" + "--:|" * (len(heads) + 2)]
    for row in ("base", *ROWS_47):
        bits, *printed, reduction = ROWS_47.get(row, ({}, None, None, 1))
        cells = []
        for domain, activations in columns:
            mine = [line for line in lines if line["key"][:4] == ["4.7", row, domain, activations]]
            before = printed[list(DOMAINS).index(domain)]
            value = spread([line["accuracy"] for line in mine], 2)
            cells.append(f"{before:.2f} → {value}" if before and activations is None else value)
        size = spread(
            [
                line["size_bytes"]
                for line in lines
                if line["key"][:4] == ["4.7", row, "source", None]
            ],
            0,
        )
        name = {
            "base": "base, not trained on",
            "full full full full": "full full full full, trained on as long",
        }.get(row, row)
        out.append(
            f"| {name} | "
            + " | ".join(cells)
            + f" | {reduction:g}× → {weight_bits(model, bits).reduction:.4f}× | {size} |"
        )
    pairs = [abs(line["accuracy"] - line["simulated"]) for line in lines if line["key"][0] == "4.7"]
    if pairs:
        out += [
            "",
            f"File and simulation differ by at most {max(pairs):.3f} points of test accuracy, "
            f"{len(pairs)} files.",
        ]
    return "\n".join(out)


def table_48(lines: list[dict], rows: list[dict]) -> str:
    """All six rows: accuracy, bytes on disk, with gzip, and the computed size."""
    model = zoo.quantnet()
    out = ["", "## Table 4.8 (cat vs dog): sizes in MiB", ""]
    out += [
        "| row | printed % | here % | printed MiB | file | gzip | computed |",
        "|---|" + "--:|" * 6,
    ]
    for row, (accuracy, size) in ROWS_48.items():
        mine = [line for line in rows if line["row"] == row and "error" not in line]
        if row in (MIXED, "twonn-cluster-cqat"):
            mine = [line for line in lines if line["key"][1:4] == [row, "source", None]]
        bits = ROWS_47[MIXED][0] if row == MIXED else {} if row == "base" else None
        computed = (
            f"{weight_bits(model, bits).total_bytes / 2**20:.4f}" if bits is not None else "–"
        )
        files = [
            spread([line[key] / 2**20 for line in mine], 4) for key in ("size_bytes", "gzip_bytes")
        ]
        cells = [
            row,
            f"{accuracy:.2f}",
            spread([line["accuracy"] for line in mine], 2),
            f"{size:.4f}",
            *files,
            computed,
        ]
        out.append("| " + " | ".join(cells) + " |")
    for line in lines:
        if line["key"][1] == "twonn-cluster-cqat":
            out.append(
                f"\nSeed {line['key'][4]}: clustered {line['decided'][0]['only']}; layers "
                f"{line['layers']}"
            )
    return "\n".join(out)


def sizes(lines: list[dict]) -> str:
    """What each trained file holds, layer by layer, of the first seed."""
    out = ["", "## Sizes of trained networks, layer by layer (seed 0)", ""]
    for line in lines:
        if line["key"][4] != 0:
            continue
        found = {line["key"][1]: line} if line["key"][:4] == ["4.7", MIXED, "source", None] else {}
        if line["key"][0] == "sizes":
            found = {f"{name}, prefer size": line[name] for name in ROWS_47 if name in line}
        for name, one in found.items():
            out.append(f"- {name}: {one['size_bytes']:,} bytes, {one['accuracy']:.2f} %")
            out += [
                f"    - {layer}: {encoding}, {levels}, {size:,} bytes"
                for layer, encoding, levels, size in one["layers"]
            ]
    return "\n".join(out)


def spread(values: list[float], digits: int) -> str:
    """Mean ± standard deviation."""
    if not values:
        return "–"
    mean = f"{statistics.fmean(values):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):,.{digits}f}" if len(values) > 1 else mean


if __name__ == "__main__":
    main()
