"""Models with layers of tfcompress's own are read in a process that has not made them yet."""

import subprocess
import sys
import textwrap

import numpy as np

from tfcompress.techniques import MixedPrecision, PruneFilters, Slim
from tfcompress.testing import tiny_model

CODE = """
    import sys
    import numpy as np
    import tfcompress as tfc

    x = np.random.RandomState(0).rand(4, 8, 8, 1).astype("float32")
    for path in sys.argv[1:]:
        outputs = tfc.load_model(path).predict(x, verbose=0)
        np.testing.assert_allclose(outputs, np.load(path + ".npy"), atol=1e-6)
    print("read", len(sys.argv[1:]))
"""


def test_models_are_read_in_a_new_process(tmp_path):
    """What `activations="same"` leaves (LowBit), and what Slim and gates are before `strip`."""
    x = np.random.RandomState(0).rand(4, 8, 8, 1).astype("float32")
    paths = []
    for flavour in ("keras", "tf_keras"):
        model, _, _ = tiny_model(flavour, trained=False)
        mixed = MixedPrecision({"dense1": 2, "conv2": 3}, activations="same")
        results = {
            "mixed": mixed.strip(mixed.apply(model)),
            "slim": Slim(0.3).apply(model),
            "gates": PruneFilters(0.3, importance="taylor").apply(model),
        }
        for name, result in results.items():
            paths.append(str(tmp_path / f"{name}_{flavour}.keras"))
            result.save(paths[-1])
            np.save(f"{paths[-1]}.npy", result.predict(x, verbose=0))
    command = [sys.executable, "-c", textwrap.dedent(CODE), *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("read 6\n"), done.stderr[-3000:]
