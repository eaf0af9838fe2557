"""From a trained model to a device. The folder of the package index that is also called tflite is another thing."""
