"""Your own training: step by step inside a script of yours, and as a trainer that `compress` calls.

python examples/own_training_loop.py
"""

import keras

import tfcompress as tfc
from tfcompress import zoo
from tfcompress.techniques import Prune
from tfcompress.training import Fit

data = zoo.load_data("digits")
keras.utils.set_random_seed(0)
model = zoo.quantnet(input_shape=(8, 8, 1), classes=10, compile=True)
Fit(data.x_train, data.y_train, epochs=10, seed=0)(model)

# Step by step: wrap a copy, train it as you always do with the technique's callbacks, take the
# wrappers off.
sparse = Prune(0.5, only="linear.*")
net = sparse.apply(model)
net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(data.x_train, data.y_train, epochs=2, verbose=0, callbacks=sparse.callbacks())
net = sparse.strip(net)
for check in sparse.check(model, net):
    print(check)


# As a trainer: any callable (model, callbacks) -> None, here one that anneals its own learning
# rate.
def train(model, callbacks):
    for rate in (1e-3, 3e-4):
        model.compile("adam", "sparse_categorical_crossentropy")
        model.optimizer.learning_rate = rate
        model.fit(
            data.x_train, data.y_train, batch_size=64, epochs=1, verbose=0, callbacks=callbacks
        )


artifact = tfc.compress(model, "qat-int8", fit=train, samples=data.x_train[:200], seed=0)
print(artifact)
print("accuracy", tfc.evaluate(artifact, data.x_test, data.y_test))
