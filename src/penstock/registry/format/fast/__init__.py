"""The fast form of a model: ONNX, made when it is saved and used only where it answers as the model does."""
