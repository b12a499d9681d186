"""Requirements upon procedure: documents, review, night and holiday."""
