"""Where the curves of a run go: TensorBoard, Weights & Biases, MLflow, Trackio."""
