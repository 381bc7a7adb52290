"""Wake words: configuration, data, model, training, evaluation, export, inference."""
