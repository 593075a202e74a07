"""Running .tflite files: LiteRT, tflite_runtime or TensorFlow; nothing here needs TensorFlow."""
