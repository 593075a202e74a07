"""From a Keras model to the bytes of a .tflite file, and what stands in such a file."""
