"""Requirements upon persons: number, certificate, training, separation."""
