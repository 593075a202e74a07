"""One model in its own Keras: copies, state, inputs, samples, proof."""
