"""The recogniser: configuration, data, model, training, evaluation, export, inference."""
