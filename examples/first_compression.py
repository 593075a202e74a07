"""The shortest way: a trained Keras model in, a small checked .tflite out, what it cost printed.

python examples/first_compression.py
"""

import keras

import tfcompress as tfc
from tfcompress import zoo
from tfcompress.training import Fit

data = zoo.load_data("digits")
keras.utils.set_random_seed(0)
model = zoo.quantnet(input_shape=(8, 8, 1), classes=10, compile=True)
Fit(data.x_train, data.y_train, epochs=10, seed=0)(model)

fit = Fit(data.x_train, data.y_train, epochs=12)
for name in ("float32", "int8", "prune80-int8"):
    artifact = tfc.compress(model, name, fit=fit, samples=data.x_train[:200], seed=0)
    accuracy = tfc.evaluate(artifact, data.x_test, data.y_test)
    print(
        f"{name:14s} accuracy {accuracy:.4f}  {artifact.size_bytes:>7,} bytes  "
        f"{artifact.gzip_bytes:>7,} gzipped"
    )
