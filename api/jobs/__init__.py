"""Background jobs: one module per kind, the queue, the worker and the engine."""
