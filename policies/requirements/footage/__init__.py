"""Requirements upon footage: coverage, premises, sources, moments."""
